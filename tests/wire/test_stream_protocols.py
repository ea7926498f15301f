"""Which messages a stream of each protocol has."""

from dataclasses import replace

import msgspec

from bridge.wire.media_stream import Channel, StreamFacts, StreamProtocol, StreamType
from bridge.wire.stream_protocols import stream_messages
from bridge.wire.stream_realtime_session import RealtimeSession
from tests.wire.test_stream_native import AT

FACTS = StreamFacts("s", "c", StreamType.TWOWAY, Channel.INBOUND)


def test_a_native_stream_begins_with_connected_and_start():
    opening = stream_messages(FACTS).opening(AT)
    assert [msgspec.json.decode(message)["event"] for message in opening] == ["connected", "start"]


def test_a_realtime_stream_begins_with_its_session():
    facts = replace(FACTS, protocol=StreamProtocol.OPENAI_REALTIME)
    [opening] = stream_messages(facts, RealtimeSession("Be brief.")).opening(AT)
    assert msgspec.json.decode(opening)["session"]["instructions"] == "Be brief."
