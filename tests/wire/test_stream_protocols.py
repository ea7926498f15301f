"""Which messages a stream of each protocol has."""

import msgspec

from bridge.wire.media_stream import Channel, StreamFacts, StreamType
from bridge.wire.stream_protocols import stream_messages
from tests.wire.test_stream_native import AT


def test_a_native_stream_begins_with_connected_and_start():
    messages = stream_messages(StreamFacts("s", "c", StreamType.TWOWAY, Channel.INBOUND))
    events = [msgspec.json.decode(message)["event"] for message in messages.opening(AT)]
    assert events == ["connected", "start"]
