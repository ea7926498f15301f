"""The messages of each stream protocol, by the protocol's name."""

from bridge.wire.media_stream import StreamFacts, StreamMessages
from bridge.wire.stream_native import NativeMessages


def stream_messages(facts: StreamFacts) -> StreamMessages:
    """Return the writer and reader of a stream's messages."""
    return NativeMessages(facts)
