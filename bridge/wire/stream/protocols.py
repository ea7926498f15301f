"""The messages of each stream protocol, by the protocol's name, and the format of its audio."""

from collections.abc import Mapping
from typing import Final

from bridge.wire.stream.media_format import Encoding, MediaFormat
from bridge.wire.stream.media_stream import WAVIX, StreamFacts, StreamMessages, StreamProtocol
from bridge.wire.stream.native import NativeMessages
from bridge.wire.stream.realtime import RealtimeMessages
from bridge.wire.stream.realtime_session import RealtimeSession
from bridge.wire.stream.twilio import TWILIO, TwilioMessages

ONLY_FORMATS: Final[Mapping[StreamProtocol, MediaFormat]] = {
    StreamProtocol.TWILIO: TWILIO,
    StreamProtocol.OPENAI_REALTIME: MediaFormat(Encoding.S16LE, 24_000, 20),
}
"""Of the protocols that have one format only."""


def default_format(protocol: StreamProtocol) -> MediaFormat:
    """Return the format of a stream that asks for none."""
    return ONLY_FORMATS.get(protocol, WAVIX)


def stream_messages(facts: StreamFacts, session: RealtimeSession | None = None) -> StreamMessages:
    """Return the writer and reader of a stream's messages; `session` is what a realtime server is told."""
    match facts.protocol:
        case StreamProtocol.NATIVE:
            return NativeMessages(facts)
        case StreamProtocol.TWILIO:
            return TwilioMessages(facts)
        case StreamProtocol.OPENAI_REALTIME:
            return RealtimeMessages(facts, session or RealtimeSession())
