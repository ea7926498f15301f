"""G.711 against an independent codec, and its audio at 16 kHz."""

import av
import numpy as np
import pytest

from bridge.audio.codec.g711 import ALAW, MULAW, G711Decoder, G711Encoder
from bridge.errors import LocalProtocolError, RemoteProtocolError
from tests.support.packets.rtp_party import VOICE

EVERY_CODE = bytes(range(256))
EVERY_SAMPLE = np.arange(-32768, 32768).astype("<i2")
LAWS = pytest.mark.parametrize("law", [MULAW, ALAW])
DELAY = 62
"""Samples at 16 kHz from the encoder's input to the decoder's output."""


def independent(name):
    decoder = av.CodecContext.create(name, "r")
    decoder.sample_rate = 8000
    decoder.layout = "mono"
    frames = decoder.decode(av.Packet(EVERY_CODE))
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).tolist()


@pytest.mark.parametrize(("law", "name"), [(MULAW, "pcm_mulaw"), (ALAW, "pcm_alaw")])
def test_each_code_stands_for_the_sample_that_an_independent_codec_decodes(law, name):
    assert np.frombuffer(law.decode(EVERY_CODE), "<i2").tolist() == independent(name)


@LAWS
def test_decoding_and_encoding_again_changes_no_code(law):
    again = law.encode(law.decode(EVERY_CODE))
    # 0x7f of the µ-law is minus zero, which is zero.
    minus_zero = b"\x7f" if law is MULAW else b""
    assert again.replace(minus_zero, b"\xff") == EVERY_CODE.replace(minus_zero, b"\xff")


@LAWS
def test_no_sample_is_off_by_more_than_half_a_step(law):
    back = np.frombuffer(law.decode(law.encode(EVERY_SAMPLE.tobytes())), "<i2").astype(int)
    heights = np.abs(EVERY_SAMPLE.astype(int))
    assert (np.abs(back - EVERY_SAMPLE) <= np.maximum(8, heights / 32 + 8))[64:-64].all()
    assert (np.abs(back - EVERY_SAMPLE) <= heights / 16 + 8).all()


def test_the_codes_of_silence_are_those_of_the_standard():
    assert (MULAW.silence, ALAW.silence) == (0xFF, 0xD5)
    assert MULAW.decode(b"\xff") == b"\0\0"
    for law in (MULAW, ALAW):
        assert G711Encoder(law).silence() == G711Encoder(law).encode(bytes(640))


def through(law, pcm, *, octets=160):
    """Encode and decode audio in packets of so many octets."""
    return decoded(law, encoded(law, pcm), octets)


def encoded(law, pcm):
    encoder = G711Encoder(law)
    return b"".join(encoder.encode(pcm[at : at + 640]) for at in range(0, len(pcm), 640))


def decoded(law, codes, octets):
    decoder = G711Decoder(law)
    pieces = [decoder.decode(codes[at : at + octets]) for at in range(0, len(codes), octets)]
    return np.frombuffer(b"".join(pieces), "<i2").astype(float)


def tone(hertz, seconds=0.5, amplitude=8000):
    times = np.arange(round(16_000 * seconds)) / 16_000
    return (amplitude * np.sin(2 * np.pi * hertz * times)).astype("<i2")


@LAWS
@pytest.mark.parametrize("hertz", [300, 1000, 2000, 3000, 3400])
def test_tones_of_the_telephone_band_pass_with_the_noise_of_the_codec_only(law, hertz):
    sent = tone(hertz).astype(float)
    heard = through(law, tone(hertz).tobytes())
    sent, heard = sent[1000:-DELAY], heard[1000 + DELAY :]
    gain = float(sent @ heard / (sent @ sent))
    noise = heard - gain * sent
    ratio = 10 * np.log10((sent @ sent) / (noise @ noise))
    assert 0.95 < gain < 1.05
    assert ratio > 33


@LAWS
@pytest.mark.parametrize("hertz", [4700, 6000, 7500])
def test_what_is_above_the_telephone_band_is_not_folded_into_it(law, hertz):
    heard = through(law, tone(hertz).tobytes())
    assert np.sqrt(np.mean(heard[1000:] ** 2)) < 12


@LAWS
def test_packets_of_any_length_give_the_same_audio(law):
    codes = encoded(law, b"".join(VOICE[:12]))
    whole = decoded(law, codes, 160)
    for octets in (80, 240, 320, 480):
        assert (decoded(law, codes, octets) == whole).all()


def test_full_scale_does_not_wrap():
    square = np.where(np.arange(3200) % 32 < 16, 32767, -32768).astype("<i2")
    heard = through(MULAW, square.tobytes())
    assert (heard[200:] * square[200 - DELAY : -DELAY] > 0).mean() > 0.8


def test_samples_beyond_full_scale_have_the_outermost_codes():
    for law in (MULAW, ALAW):
        lowest, highest = law.encode(b"\x00\x80"), law.encode(b"\xff\x7f")
        assert law.codes(np.array([-50_000, 50_000], np.float32)) == lowest + highest


def test_a_lost_packet_is_concealed_and_the_timing_kept():
    encoder, decoder = G711Encoder(MULAW), G711Decoder(MULAW)
    packets = [encoder.encode(frame) for frame in VOICE[:20]]
    clean = G711Decoder(MULAW)
    whole = [clean.decode(packet) for packet in packets]
    heard = [
        decoder.conceal(320) if number == 10 else decoder.decode(packet)
        for number, packet in enumerate(packets)
    ]
    assert [len(piece) for piece in heard] == [640] * 20
    lost, wanted = (np.frombuffer(each[10], "<i2").astype(float) for each in (heard, whole))
    assert lost @ wanted / np.sqrt((lost @ lost) * (wanted @ wanted)) > 0.75
    assert heard[:10] == whole[:10]
    assert heard[12:] == whole[12:]


def test_an_empty_packet_is_malformed_and_another_frame_is_refused():
    with pytest.raises(RemoteProtocolError):
        G711Decoder(MULAW).decode(b"")
    with pytest.raises(LocalProtocolError):
        G711Encoder(MULAW).encode(bytes(320))


def test_an_encoder_that_continues_a_stream_begins_with_what_came_before():
    running, late = G711Encoder(ALAW), G711Encoder(ALAW)
    for frame in VOICE[:5]:
        running.encode(frame)
    late.continue_from(VOICE[3:5])
    assert late.encode(VOICE[5]) == running.encode(VOICE[5])
