"""Sound in every form a wire carries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from bridge.audio.codec.resample import Resampler
from bridge.wire.stream.media_format import (
    WADIAL,
    ZUCKZAPGO,
    Encoding,
    MediaDecoder,
    MediaEncoder,
    MediaFormat,
    decode_samples,
    encode_samples,
)
from bridge.wire.stream.media_stream import WAVIX
from tests.support.examples import examples
from tests.support.sound.speech_compare import Pcm, compare
from tests.support.sound.voices import words

SAMPLE_RATES = (8000, 16000, 24000, 48000)
EVERY_SAMPLE = np.arange(-32768, 32768).astype("<i2")


def decoded(decoder: MediaDecoder, message: bytes) -> bytes:
    return b"".join(decoder.decode(decoder.align(message)))


def floats(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


def shorts(pcm: bytes) -> list[int]:
    return [int(value) for value in np.frombuffer(pcm, "<i2")]


def test_the_documented_frames_have_the_documented_sizes():
    assert ZUCKZAPGO.frame_bytes == 1920
    assert WADIAL.frame_bytes == 320 * 4
    assert WAVIX.frame_bytes == 960
    assert MediaFormat(Encoding.MULAW, 8_000, 20).frame_bytes == 160


def test_every_sample_survives_the_way_through_floats_within_one():
    there = encode_samples(Encoding.F32LE, EVERY_SAMPLE.tobytes())
    values = np.frombuffer(there, "<f4")
    assert values[0] == -1.0
    assert values[-1] == 32767 / 32768
    back = np.frombuffer(decode_samples(Encoding.F32LE, there), "<i2").astype(int)
    assert np.abs(back - EVERY_SAMPLE).max() <= 1


def test_floats_are_rounded_clamped_and_no_numbers_are_silence():
    came = floats(1.0, -1.0, 2.0, -3.0, float("nan"), float("inf"), float("-inf"), 0.25)
    assert shorts(decode_samples(Encoding.F32LE, came)) == [
        32767,
        -32767,
        32767,
        -32767,
        0,
        0,
        0,
        8192,
    ]


def test_a_signalling_nan_is_silence():
    assert shorts(decode_samples(Encoding.F32LE, b"\1\0\x80\x7f\1\0\x80\xff")) == [0, 0]


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("rate", SAMPLE_RATES)
@pytest.mark.parametrize("milliseconds", [20, 40, 60, 80, 100, 200])
def test_the_clocks_frames_become_messages_of_the_routes_size_and_none_is_late(
    encoding, rate, milliseconds
):
    media = MediaFormat(encoding, rate, milliseconds)
    outgoing = MediaEncoder(media)
    made = [outgoing.encode(bytes(640)) for _ in range(60)]
    step = milliseconds // 20
    assert [len(messages) for messages in made] == (([0] * (step - 1) + [1]) * 60)[:60]
    assert {len(message) for messages in made for message in messages} == {media.frame_bytes}


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("rate", SAMPLE_RATES)
def test_a_sine_comes_through_both_ways_in_every_form(encoding, rate):
    media = MediaFormat(encoding, rate, 20)
    moments = np.arange(16_000) / 16_000
    said = np.rint(8000 * np.sin(2 * np.pi * 440 * moments)).astype("<i2")
    outgoing, incoming = MediaEncoder(media), MediaDecoder(media)
    heard = b"".join(
        decoded(incoming, message)
        for begin in range(0, 16_000, 320)
        for message in outgoing.encode(said[begin : begin + 320].tobytes())
    )
    late = 0 if rate == 16_000 else round(2 * 32 / min(rate, 16_000) * 16_000)
    if (encoding, rate) == (Encoding.MULAW, 8_000):
        late = 62  # the half-band filters': 16 samples at 8 kHz in, and 15 out
    got = np.frombuffer(heard, "<i2").astype(int)[late + 400 :]
    apart = np.abs(got - said[400 : 400 + len(got)])
    assert apart.max() <= (600 if encoding is Encoding.MULAW else 4)


def test_a_message_may_end_within_a_sample():
    incoming = MediaDecoder(WADIAL)
    message = floats(0.25, 0.5)
    assert decoded(incoming, message[:1]) == b""
    assert incoming.incomplete
    assert shorts(decoded(incoming, message[1:])) == [8192, 16384]
    assert not incoming.incomplete


def test_a_sample_that_was_begun_can_be_dropped():
    incoming = MediaDecoder(ZUCKZAPGO)
    assert decoded(incoming, b"\1\2\3") == b"\1\2"
    incoming.drop_incomplete()
    assert decoded(incoming, b"\4\5") == b"\4\5"


@settings(deadline=None, max_examples=examples(50))
@given(
    st.lists(st.binary(max_size=5000), max_size=10),
    st.sampled_from(Encoding),
    st.sampled_from(SAMPLE_RATES),
)
def test_whatever_comes_whole_samples_come_out(messages, encoding, rate):
    incoming = MediaDecoder(MediaFormat(encoding, rate, 60))
    for message in messages:
        assert len(decoded(incoming, message)) % 2 == 0


def test_a_long_message_is_read_in_pieces_that_join_to_the_same_sound():
    said = np.frombuffer(np.random.default_rng(1).bytes(200_000), "<i2")
    message = (said / np.float32(32768)).astype("<f4").tobytes()
    media = MediaFormat(Encoding.F32LE, 24_000, 20)
    pieces = list(MediaDecoder(media).decode(message))
    assert len(pieces) == 9
    whole = Resampler(24_000, 16_000).process(decode_samples(Encoding.F32LE, message))
    assert b"".join(pieces) == whole


@pytest.mark.parametrize("milliseconds", [10, 25, 33, 50, 130])
def test_frames_of_any_length_carry_the_whole_sound(milliseconds):
    media = MediaFormat(Encoding.S16LE, 16_000, milliseconds)
    said = words(0, 2.6).astype("<i2").tobytes()
    outgoing, made = MediaEncoder(media), []
    for begin in range(0, len(said), 640):
        made += outgoing.encode(said[begin : begin + 640])
        rest = (begin + 640) / 32 - len(made) * milliseconds
        assert outgoing.buffered_milliseconds == pytest.approx(rest)
        assert outgoing.buffered_milliseconds < milliseconds
    assert {len(message) for message in made} == {media.frame_bytes}
    assert said.startswith(b"".join(made))


@pytest.mark.pesq
@pytest.mark.parametrize("rate", SAMPLE_RATES)
@pytest.mark.parametrize("encoding", Encoding)
def test_speech_is_as_good_as_its_form_allows_both_ways(encoding, rate):
    said = words(1, 3.0)
    media = MediaFormat(encoding, rate, 50)
    sent = through(said, media)
    heard_there = np.frombuffer(decode_samples(encoding, sent), "<i2").astype(np.int16)
    outwards = compare(at_bus_rate(said, rate), at_bus_rate_from(heard_there, rate))
    inwards = compare(at_bus_rate(said, rate), back(sent, media))
    for way in (outwards, inwards):
        assert way.stoi > 0.97
        assert way.pesq > (3.4 if encoding is Encoding.MULAW else 4.4)
        assert abs(way.level_db) < 0.3


def through(said: Pcm, media: MediaFormat) -> bytes:
    """Return what a far end gets, frame of the clock by frame of the clock."""
    outgoing, pcm = MediaEncoder(media), said.astype("<i2").tobytes()
    return b"".join(
        message
        for begin in range(0, len(pcm), 640)
        for message in outgoing.encode(pcm[begin : begin + 640])
    )


def back(sent: bytes, media: MediaFormat) -> Pcm:
    """Return what the bus gets of a far end that sends in messages of its own."""
    incoming, size = MediaDecoder(media), media.encoding.sample_bytes * 377
    heard = b"".join(
        decoded(incoming, sent[begin : begin + size]) for begin in range(0, len(sent), size)
    )
    return np.frombuffer(heard, "<i2").astype(np.int16)


def at_bus_rate(said: Pcm, rate: int) -> Pcm:
    """Return what an independent resampler leaves of speech at this rate."""
    return said if rate >= 16_000 else at_bus_rate_from(whole(resample_poly(said, 1, 2)), rate)


def at_bus_rate_from(sound: Pcm, rate: int) -> Pcm:
    return sound if rate == 16_000 else whole(resample_poly(sound.astype(float), 16_000, rate))


def whole(sound: np.ndarray) -> Pcm:
    rounded: Pcm = np.clip(np.rint(sound), -32768, 32767).astype(np.int16)
    return rounded
