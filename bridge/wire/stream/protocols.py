"""The stream protocols: what the rest of the bridge asks about each, and the only place that says it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bridge.audio.buffer.paced import LIMIT_SECONDS
from bridge.wire import signature
from bridge.wire.stream.media_format import MediaFormat
from bridge.wire.stream.media_stream import WAVIX, StreamFacts, StreamMessages, StreamProtocol
from bridge.wire.stream.native import NativeMessages
from bridge.wire.stream.realtime import RealtimeMessages
from bridge.wire.stream.realtime_session import REALTIME, RealtimeSession
from bridge.wire.stream.twilio import TWILIO, TwilioMessages


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTraits:
    """What every stream of a protocol is."""

    about: str
    """Follows the protocol's name in the documentation of the API."""
    messages: Callable[[StreamFacts, RealtimeSession], StreamMessages]
    """Makes the writer and reader of a stream's messages; the session is what a model is told."""
    media: MediaFormat = WAVIX
    """The format of a stream that asks for none."""
    one_format: bool = False
    """Whether there is no other format."""
    model: bool = False
    """Whether the server is a model (`node.streams.realtime`): such a stream is two-way, and may be
    without a URL, where the line has a server of its own."""
    resumes: bool = False
    """Whether its servers can be told that a stream goes on over another connection."""
    buffer_seconds: float = LIMIT_SECONDS
    """How much of the server's audio may wait to be played."""
    signed_headers: Callable[[str, str], Mapping[str, str]] = lambda _secret, _url: {}
    """Returns the protocol's own proof that a handshake to a URL is ours, by a secret."""


PROTOCOLS: Final[Mapping[StreamProtocol, StreamTraits]] = {
    StreamProtocol.NATIVE: StreamTraits(
        about=", as Wavix documents them",
        messages=lambda facts, _: NativeMessages(facts),
        resumes=True,
    ),
    StreamProtocol.TWILIO: StreamTraits(
        about=", Twilio Media Streams",
        messages=lambda facts, _: TwilioMessages(facts),
        media=TWILIO,
        one_format=True,
        signed_headers=lambda secret, url: {"X-Twilio-Signature": signature.twilio(secret, url)},
    ),
    StreamProtocol.OPENAI_REALTIME: StreamTraits(
        about=", of which the bridge is the client",
        messages=RealtimeMessages,
        media=REALTIME,
        one_format=True,
        model=True,
        # A model writes a whole reply at once, and OpenAI's longest is 4096 tokens of 50 ms.
        buffer_seconds=300.0,
    ),
}
