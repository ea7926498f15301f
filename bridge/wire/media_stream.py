"""Messages of a media stream to a customer's WebSocket: JSON with base64 audio.

Source: Wavix, "Call media streaming". It does not define the payload or where counters start; as in
the vendor's client, it is signed 16-bit little-endian mono PCM at 24 kHz in messages of 20 ms. Other
formats, and `media_format` in `start`, are our additions.
"""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias

import msgspec

from bridge.wire.iso8601 import iso8601
from bridge.wire.media_format import Encoding, MediaFormat

WAVIX: Final = MediaFormat(Encoding.S16LE, 24_000, 20)
"""480 samples, 960 bytes."""
MAX_MARK: Final = 256
"""Maximum length of a mark's name."""


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

    @property
    def tracks(self) -> tuple[Channel, ...]:
        """The tracks that are sent; always the inbound one for a two-way stream."""
        if self.type is StreamType.TWOWAY:
            return (Channel.INBOUND,)
        if self.channel is Channel.BOTH:
            return (Channel.INBOUND, Channel.OUTBOUND)
        return (self.channel,)


@dataclass(frozen=True, slots=True)
class Media:
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
class Ignored:
    """An ignored message and the reason (`IGNORED_REASONS`)."""

    reason: str


IGNORED_REASONS: Final = ("malformed", "unknown_event", "other_stream", "oneway")
"""`oneway`: anything that a customer sends on a one-way stream."""

CustomerMessage: TypeAlias = Media | Mark | Clear | Ignored


class StreamWriter:
    """Writes and numbers a stream's messages.

    `sequence_number` counts all messages but `connected`, `chunk` the `media` messages of one
    track, both from 1.
    """

    def __init__(self, facts: StreamFacts) -> None:
        self._facts = facts
        self._sequence = 0
        self._chunks = dict.fromkeys(facts.tracks, 0)

    def connected(self, at: datetime) -> bytes:
        """Write the very first message."""
        return msgspec.json.encode({"event": "connected", "event_time": iso8601(at)})

    def start(self, at: datetime) -> bytes:
        """Write the properties of the stream, before any audio."""
        facts = self._facts
        return self._message(
            "start",
            at,
            stream_type=facts.type.value,
            channel=(facts.tracks[0] if len(facts.tracks) == 1 else Channel.BOTH).value,
            media_format={
                "encoding": facts.media.encoding.value,
                "sample_rate": facts.media.sample_rate,
                "channels": 1,
                "frame_ms": facts.media.frame_milliseconds,
            },
        )

    def media(self, data: bytes, at: datetime, *, track: Channel, timestamp: int) -> bytes:
        """Write a frame of a track; `timestamp` is in milliseconds since the stream's start."""
        self._chunks[track] += 1
        media = {
            "payload": base64.b64encode(data).decode("ascii"),
            "track": track.value,
            "timestamp": timestamp,
            "chunk": self._chunks[track],
        }
        return self._message("media", at, media=media)

    def mark(self, name: str, at: datetime) -> bytes:
        """Write that all audio before a mark has been played or dropped."""
        return self._message("mark", at, mark={"name": name})

    def stop(self, at: datetime) -> bytes:
        """Write the last message."""
        return self._message("stop", at)

    def _message(self, event: str, at: datetime, **more: object) -> bytes:
        self._sequence += 1
        message: dict[str, Any] = {
            "event": event,
            "event_time": iso8601(at),
            "call_id": self._facts.call_id,
            "stream_id": self._facts.stream_id,
            "sequence_number": self._sequence,
        }
        return msgspec.json.encode(message | more)


def read_message(text: str | bytes, facts: StreamFacts) -> CustomerMessage:
    """Parse a customer's message; never raises. `stream_id` is optional."""
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Ignored("malformed")
    if not isinstance(message, dict) or not isinstance(message.get("event"), str):
        return Ignored("malformed")
    if message.get("stream_id") not in (None, facts.stream_id):
        return Ignored("other_stream")
    if facts.type is StreamType.ONEWAY:
        return Ignored("oneway")
    match message["event"]:
        case "media":
            return _read_media(message.get("media"), facts.media.encoding.sample_bytes)
        case "mark":
            return _read_mark(message.get("mark"))
        case "clear":
            return Clear()
        case _:
            return Ignored("unknown_event")


def _read_media(media: object, sample_bytes: int) -> CustomerMessage:
    payload = media.get("payload") if isinstance(media, dict) else None
    if not isinstance(payload, str):
        return Ignored("malformed")
    try:
        data = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        return Ignored("malformed")
    # Half a sample would turn everything after it into noise.
    return Ignored("malformed") if len(data) % sample_bytes else Media(data)


def _read_mark(mark: object) -> CustomerMessage:
    name = mark.get("name") if isinstance(mark, dict) else None
    if not isinstance(name, str) or len(name) > MAX_MARK:
        return Ignored("malformed")
    return Mark(name)
