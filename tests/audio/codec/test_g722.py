"""G.722: what its bands hold, and its losses."""

import numpy as np
import pytest

from bridge.audio.codec.g722 import G722Decoder, G722Encoder
from bridge.errors import LocalProtocolError, RemoteProtocolError
from tests.support.packets.rtp_party import VOICE, correlation

DELAY = 22
"""Samples at 16 kHz through the filters of the encoder and the decoder."""


def through(pcm, *, octets=160):
    encoder, decoder = G722Encoder(), G722Decoder()
    codes = b"".join(
        encoder.encode(pcm[start : start + 640]) for start in range(0, len(pcm) - 639, 640)
    )
    return b"".join(decoder.decode(codes[at : at + octets]) for at in range(0, len(codes), octets))


def tone(hertz, amplitude=6000):
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(8000) / 16_000)).astype("<i2")


@pytest.mark.parametrize(("hertz", "decibels"), [(50, 25), (1000, 25), (3000, 20), (6000, 12)])
def test_tones_pass_with_little_noise_in_the_lower_band_and_more_in_the_upper(hertz, decibels):
    sent = tone(hertz).astype(float)
    heard = np.frombuffer(through(tone(hertz).tobytes()), "<i2").astype(float)
    sent, heard = sent[2000:-DELAY], heard[2000 + DELAY :]
    gain = float(sent @ heard / (sent @ sent))
    noise = heard - gain * sent
    assert 0.9 < gain < 1.1
    assert 10 * np.log10((sent @ sent) / (noise @ noise)) > decibels


def test_wideband_speech_passes():
    pcm = b"".join(VOICE)
    heard = through(pcm)
    assert len(heard) == len(pcm)
    assert correlation([pcm[: -2 * DELAY]], [heard[2 * DELAY :]]) > 0.995


@pytest.mark.parametrize("octets", [80, 240, 480])
def test_packets_of_any_length_give_the_same_audio(octets):
    pcm = b"".join(VOICE[:12])
    assert through(pcm, octets=octets) == through(pcm)


def test_a_lost_packet_is_concealed_and_the_decoder_recovers():
    encoder, decoder, clean = G722Encoder(), G722Decoder(), G722Decoder()
    packets = [encoder.encode(frame) for frame in VOICE[:40]]
    heard = [
        decoder.conceal(320) if number == 10 else decoder.decode(packet)
        for number, packet in enumerate(packets)
    ]
    whole = [clean.decode(packet) for packet in packets]
    assert [len(piece) for piece in heard] == [640] * 40
    assert heard[:10] == whole[:10]
    assert correlation([heard[10]], [whole[10]]) > 0.7
    assert correlation(heard[20:], whole[20:]) > 0.98


def test_an_empty_packet_is_malformed_and_another_frame_is_refused():
    with pytest.raises(RemoteProtocolError):
        G722Decoder().decode(b"")
    with pytest.raises(LocalProtocolError):
        G722Encoder().encode(bytes(320))


def test_every_octet_is_valid():
    assert len(G722Decoder().decode(bytes(range(256)))) == 1024


def test_an_encoder_that_continues_a_stream_is_where_the_far_decoder_is():
    running, late = G722Encoder(), G722Encoder()
    for frame in VOICE[:30]:
        running.encode(frame)
    late.continue_from([b"".join(VOICE[:30])])
    assert late.encode(VOICE[30]) == running.encode(VOICE[30])
    assert late.silence() == running.silence()
