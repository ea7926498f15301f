"""The messages of each stream protocol, by the protocol's name."""

from bridge.wire.media_stream import StreamFacts, StreamMessages, StreamProtocol
from bridge.wire.stream_native import NativeMessages
from bridge.wire.stream_realtime import RealtimeMessages
from bridge.wire.stream_realtime_session import RealtimeSession


def stream_messages(facts: StreamFacts, session: RealtimeSession | None = None) -> StreamMessages:
    """Return the writer and reader of a stream's messages; `session` is what a realtime server is told."""
    if facts.protocol is StreamProtocol.OPENAI_REALTIME:
        return RealtimeMessages(facts, session or RealtimeSession())
    return NativeMessages(facts)
