"""The compiled conversion of streams' audio: the same samples as Python's, and none beyond."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.audio.codec.g711 import MULAW
from bridge.audio.frame import FRAME_BYTES
from bridge.media.stream_frames import PIECE_BYTES, compiled_conversion
from bridge.wire.stream.media_format import IN_PYTHON, Encoding, MediaFormat
from bridge.wire.stream.media_stream import Channel, StreamFacts, StreamMessages, StreamType
from bridge.wire.stream.native import NativeMessages
from bridge.wire.stream.realtime import RealtimeMessages
from bridge.wire.stream.realtime_session import RealtimeSession
from bridge.wire.stream.twilio import TwilioMessages
from tests.support.examples import examples
from tests.support.packets.packet_path import library

pytestmark = pytest.mark.compiled

RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
FORMATS = [MediaFormat(encoding, rate) for encoding in Encoding for rate in RATES]
MULAW_STEPS = np.argsort(np.argsort(np.frombuffer(MULAW.decode(bytes(range(256))), "<i2")))
"""The place of each code among all, from the lowest sample to the highest."""


def steps(encoding, data):
    """Samples as numbers of which neighbours are one step apart."""
    match encoding:
        case Encoding.S16LE:
            return np.frombuffer(data, "<i2").astype(int)
        case Encoding.F32LE:
            return np.rint(np.frombuffer(data, "<f4") * 32768).astype(int)
        case Encoding.MULAW:
            return MULAW_STEPS[np.frombuffer(data, np.uint8)]


def assert_alike(encoding, compiled, python):
    assert len(compiled) == len(python)
    apart = np.abs(steps(encoding, compiled) - steps(encoding, python))
    assert apart.max(initial=0) <= 1, f"{apart.max()} steps apart at sample {apart.argmax()}"


def pieces(unit, *, most):
    """Audio in pieces of any length: noise, silence, the loudest there is, and no numbers."""
    noise = st.integers(0, 2**32 - 1).map(
        lambda seed: np.random.default_rng(seed).bytes(unit * (seed % most))
    )
    same = st.builds(
        lambda sample, count: (sample * (unit // len(sample))) * count,
        st.sampled_from([b"\0\0\0\0", b"\xff\x7f\xff\x7f", b"\x00\x80\x00\x80", b"\0\0\x80\x7f"])
        if unit >= 4
        else st.sampled_from([b"\0", b"\xff", b"\x80"]).map(lambda byte: byte * unit),
        st.integers(0, most),
    )
    return st.lists(noise | same, max_size=6)


@given(media=st.sampled_from(FORMATS), data=st.data())
@settings(max_examples=examples(400), deadline=None)
def test_what_a_party_says_is_the_same_samples_within_one_step(media, data):
    compiled = compiled_conversion(library()).to_bus(media)
    python = IN_PYTHON.to_bus(media)
    for piece in data.draw(pieces(media.encoding.sample_bytes, most=1500)):
        assert_alike(Encoding.S16LE, compiled(piece), python(piece))


@given(media=st.sampled_from(FORMATS), data=st.data())
@settings(max_examples=examples(400), deadline=None)
def test_what_a_party_hears_is_the_same_samples_within_one_step(media, data):
    compiled = compiled_conversion(library()).from_bus(media)
    python = IN_PYTHON.from_bus(media)
    for piece in data.draw(pieces(FRAME_BYTES, most=3)):
        assert_alike(media.encoding, compiled(piece), python(piece))


MESSAGES: dict[str, StreamMessages] = {
    "native": NativeMessages(StreamFacts("a-b", '"%d\\', StreamType.ONEWAY, Channel.BOTH)),
    "twilio": TwilioMessages(StreamFacts("a-b", "call", StreamType.TWOWAY, Channel.BOTH, line="a")),
    "realtime": RealtimeMessages(
        StreamFacts("a-b", "call", StreamType.TWOWAY, Channel.BOTH), RealtimeSession()
    ),
}


@given(
    name=st.sampled_from(sorted(MESSAGES)),
    track=st.sampled_from([Channel.INBOUND, Channel.OUTBOUND]),
    audio=st.binary(max_size=300) | st.integers(0, 60_000).map(bytes),
    mask=st.binary(min_size=4, max_size=4),
    numbers=st.tuples(st.integers(0, 253_402_300_799_999), *[st.integers(0, 2**62)] * 3),
)
@example("native", Channel.INBOUND, b"", bytes(4), (10_574_017_066_751, 0, 0, 0))
@settings(max_examples=examples(400), deadline=None)
def test_a_message_is_the_same_to_the_byte(name, track, audio, mask, numbers):
    template = MESSAGES[name].media(track)
    compiled = compiled_conversion(library()).frames(template)(audio, mask, *numbers)
    assert compiled == IN_PYTHON.frames(template)(audio, mask, *numbers)


def test_a_message_with_much_text_is_written_too():
    facts = StreamFacts("a-b", "c" * 2000, StreamType.TWOWAY, Channel.INBOUND)
    template = NativeMessages(facts).media(Channel.INBOUND)
    frame = compiled_conversion(library()).frames(template)(b"\0", bytes(4), 0, 1, 2, 3)
    assert frame == IN_PYTHON.frames(template)(b"\0", bytes(4), 0, 1, 2, 3)


@given(data=pieces(4, most=1000).map(b"".join))
@settings(max_examples=examples(400), deadline=None)
def test_audio_is_as_rough(data):
    if len(data) >= 8:
        compiled = compiled_conversion(library()).roughness(data)
        assert compiled == pytest.approx(IN_PYTHON.roughness(data), rel=1e-6)


@pytest.mark.parametrize("media", FORMATS, ids=str)
def test_a_long_message_is_the_same_as_its_pieces(media):
    message = np.random.default_rng(0).bytes(12 * (PIECE_BYTES + 1))
    whole = compiled_conversion(library()).to_bus(media)(message)
    in_pieces = compiled_conversion(library()).to_bus(media)
    size = 4 * 999
    assert whole == b"".join(
        in_pieces(message[begin : begin + size]) for begin in range(0, len(message), size)
    )


def test_streams_at_once_do_not_mix_their_audio():
    conversion, media = compiled_conversion(library()), MediaFormat(Encoding.S16LE, 24_000)
    alone = compiled_conversion(library()).from_bus(media)
    first, second = conversion.from_bus(media), conversion.from_bus(media)
    for number in range(5):
        frame = np.random.default_rng(number).bytes(FRAME_BYTES)
        assert first(frame) == alone(frame)
        second(frame[::-1])
