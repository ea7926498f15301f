"""Which messages a stream of each protocol has, and in which format its audio is."""

from dataclasses import replace

import msgspec
import pytest

from bridge.wire.stream.media_format import Encoding, MediaFormat
from bridge.wire.stream.media_stream import WAVIX, Channel, StreamFacts, StreamProtocol, StreamType
from bridge.wire.stream.protocols import PROTOCOLS
from bridge.wire.stream.realtime_session import RealtimeSession
from tests.wire.stream.test_native import AT

FACTS = StreamFacts("s", "c", StreamType.TWOWAY, Channel.INBOUND)
NO_SESSION = RealtimeSession()


def opening(protocol, session=NO_SESSION):
    messages = PROTOCOLS[protocol].messages(replace(FACTS, protocol=protocol), session)
    return [msgspec.json.decode(message) for message in messages.opening(AT)]


@pytest.mark.parametrize("protocol", [StreamProtocol.NATIVE, StreamProtocol.TWILIO])
def test_a_stream_begins_with_connected_and_start(protocol):
    assert [message["event"] for message in opening(protocol)] == ["connected", "start"]


def test_a_native_and_a_twilio_stream_have_each_their_own_fields():
    assert opening(StreamProtocol.NATIVE)[1]["sequence_number"] == 1
    assert opening(StreamProtocol.TWILIO)[1]["sequenceNumber"] == "1"


def test_a_realtime_stream_begins_with_its_session():
    [session] = opening(StreamProtocol.OPENAI_REALTIME, RealtimeSession("Be brief."))
    assert session["session"]["instructions"] == "Be brief."


@pytest.mark.parametrize(
    ("protocol", "media"),
    [
        (StreamProtocol.NATIVE, WAVIX),
        (StreamProtocol.TWILIO, MediaFormat(Encoding.MULAW, 8_000, 20)),
        (StreamProtocol.OPENAI_REALTIME, MediaFormat(Encoding.S16LE, 24_000, 20)),
    ],
)
def test_each_protocol_has_a_format_of_its_own(protocol, media):
    assert PROTOCOLS[protocol].media == media


def test_a_models_longest_reply_has_room():
    longest = 4096 * 0.05
    assert PROTOCOLS[StreamProtocol.OPENAI_REALTIME].buffer_seconds > longest
    assert PROTOCOLS[StreamProtocol.NATIVE].buffer_seconds < longest


def test_every_protocol_has_its_traits():
    assert PROTOCOLS.keys() == set(StreamProtocol)
