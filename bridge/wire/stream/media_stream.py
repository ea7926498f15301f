"""Media streams to a customer's WebSocket: what they are, whatever protocol they speak.

Each protocol has a module with its messages, and its traits in `wire.stream.protocols`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

from bridge.wire.stream.media_format import Encoding, MediaFormat
from bridge.wire.stream.media_template import MediaTemplate

WAVIX: Final = MediaFormat(Encoding.S16LE, 24_000, 20)
"""480 samples, 960 bytes."""
MAX_MARK: Final = 256
"""Maximum length of a mark's name."""


class StreamProtocol(StrEnum):
    """What a stream's messages look like."""

    NATIVE = "native"
    TWILIO = "twilio"
    OPENAI_REALTIME = "openai-realtime"


class StreamType(StrEnum):
    """Whether the customer may send audio back."""

    ONEWAY = "oneway"
    TWOWAY = "twoway"


class Channel(StrEnum):
    """Which audio is streamed: `inbound` comes from the far party, `outbound` is sent to it."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    BOTH = "both"
    """Both, in separate messages; never a message's `track`."""


class StreamEndReason(StrEnum):
    """Why a stream ended; the values are public names."""

    STOPPED = "stopped"
    """By request, or with the call."""
    CLOSED = "closed"
    """Its server closed with code 1000, or without a code."""
    SERVER_ERROR = "server_error"
    """Its server closed with another code."""
    FAILED = "failed"
    """The connection broke off without a close frame."""
    UNREACHABLE = "unreachable"
    """No WebSocket could be opened in three attempts."""
    BLOCKED = "blocked"
    """The address guard does not let the URL, or what it redirects to, be reached."""
    SLOW = "slow"
    """Its server read too slowly for 10 s."""
    FLOOD = "flood"
    """Its server sent more than the bridge reads for 10 s."""
    TOO_LARGE = "too_large"
    """Its server sent a message above the limit."""
    PROTOCOL_ERROR = "protocol_error"
    """Its server broke RFC 6455: a wrong frame, text that is not UTF-8."""


STREAM_FAILURES: Final = frozenset(StreamEndReason) - {
    StreamEndReason.STOPPED,
    StreamEndReason.CLOSED,
}
"""The reasons that neither side requested."""


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """The constant properties of a stream."""

    stream_id: str
    """A lower-case UUID."""
    call_id: str
    """In the customer's form."""
    type: StreamType
    channel: Channel
    media: MediaFormat = WAVIX
    """Format in both directions."""
    protocol: StreamProtocol = StreamProtocol.NATIVE
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Sent to the server when the stream starts, where the protocol has a place for it."""
    line: str = ""
    """The name of the call's line."""
    resumes: bool = False
    """Whether its server may be connected anew when another process goes on with the call."""
    resumed: bool = False
    """Whether another process had the call before."""

    def describe(self) -> dict[str, object]:
        """Return what events say of the stream."""
        return {
            "streamId": self.stream_id,
            "streamType": self.type.value,
            "protocol": self.protocol.value,
            "tracks": [track.value for track in self.tracks],
        }

    @property
    def tracks(self) -> tuple[Channel, ...]:
        """The tracks that are sent; always the inbound one for a two-way stream."""
        if self.type is StreamType.TWOWAY:
            return (Channel.INBOUND,)
        if self.channel is Channel.BOTH:
            return (Channel.INBOUND, Channel.OUTBOUND)
        return (self.channel,)


class Media(Struct, frozen=True):
    """Audio to play into the call: whole samples in the stream's format, of any length."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """A name to send back once all audio before it has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class Clear:
    """A request to drop all buffered audio and send back all pending marks."""


@dataclass(frozen=True, slots=True)
class Digit:
    """A key that the far party has pressed: one of 0-9, *, #, A-D."""

    key: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A message that the protocol wants sent back."""

    message: bytes


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A function that a model calls."""

    name: str
    arguments: str
    """JSON, as the model wrote it."""
    answer: Callable[[str], Sequence[Reply]] = field(compare=False)
    """Writes what goes back for the function's output."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An error that the server reports; the stream goes on."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """An ignored message and the reason (`IGNORED_REASONS`)."""

    reason: str


IGNORED_REASONS: Final = ("malformed", "unknown_event", "other_stream", "oneway")
"""`oneway`: anything that a customer sends on a one-way stream."""

ServerMessage: TypeAlias = Media | Mark | Clear | Reply | FunctionCall | Failed | Ignored


class StreamMessages(Protocol):
    """Writes one stream's messages and reads its server's; keeps the numbers and states of its protocol."""

    def opening(self, at: datetime) -> Sequence[bytes]:
        """Write what is sent first of all."""

    def media(self, track: Channel) -> MediaTemplate:
        """Return what a track's messages of audio look like."""

    def count_media(self, track: Channel) -> tuple[int, int]:
        """Count a message of audio that is sent; return its numbers among all, and among those of its track."""

    def say(self, what: Mark | Digit, at: datetime) -> bytes | None:
        """Write that a mark was reached or a key pressed; None where the protocol has no message for it."""

    def closing(self, at: datetime) -> Sequence[bytes]:
        """Write what is sent last."""

    def read(self, text: str | bytes, *, played_seconds: float) -> Sequence[ServerMessage]:
        """Parse a message of the server, which may mean several things; never raises.

        `played_seconds` is how much of all the audio that the server sent has left the queue.
        """
