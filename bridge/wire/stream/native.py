"""Messages of a media stream as Wavix documents them: JSON with base64 audio.

Source: Wavix, "Call media streaming". It does not define the payload or where counters start; as in
the vendor's client, it is signed 16-bit little-endian mono PCM at 24 kHz in messages of 20 ms. Other
formats, and `media_format`, `parameters` and `resumed` in `start`, are our additions.
"""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from bridge.wire.iso8601 import iso8601
from bridge.wire.stream.media_stream import (
    MAX_MARK,
    Channel,
    Clear,
    Digit,
    Ignored,
    Mark,
    Media,
    ServerMessage,
    StreamFacts,
    StreamType,
)
from bridge.wire.stream.media_template import MediaTemplate, Place


class _Message(Struct):
    """What is not named here is skipped without being built: a message may be long, and full of anything."""

    event: str
    stream_id: msgspec.Raw = msgspec.Raw()
    media: msgspec.Raw = msgspec.Raw()
    mark: msgspec.Raw = msgspec.Raw()


class _Media(Struct):
    payload: bytes
    """Decoded from base64."""


class _Mark(Struct):
    name: Annotated[str, Meta(max_length=MAX_MARK)]


_DECODER: Final = msgspec.json.Decoder(_Message)
_MEDIA: Final = msgspec.json.Decoder(_Media)
_MARK: Final = msgspec.json.Decoder(_Mark)


class NativeMessages:
    """Writes, numbers and reads a stream's messages (`media_stream.StreamMessages`).

    `sequence_number` counts all messages but `connected`, `chunk` the `media` messages of one
    track, both from 1.
    """

    def __init__(self, facts: StreamFacts) -> None:
        self._facts = facts
        self._sequence = 0
        self._chunks = dict.fromkeys(facts.tracks, 0)

    def opening(self, at: datetime) -> tuple[bytes, bytes]:
        """Write `connected`, and `start` with the properties of the stream."""
        connected = msgspec.json.encode({"event": "connected", "event_time": iso8601(at)})
        return connected, self._start(at)

    def _start(self, at: datetime) -> bytes:
        facts = self._facts
        parameters = {"parameters": dict(facts.parameters)} if facts.parameters else {}
        resumed = {"resumed": True} if facts.resumed else {}
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
            **parameters,
            **resumed,
        )

    def media(self, track: Channel) -> MediaTemplate:
        """Return what a track's messages of audio look like."""
        call_id = msgspec.json.encode(self._facts.call_id)
        stream_id = msgspec.json.encode(self._facts.stream_id)
        return MediaTemplate(
            b'{"event":"media","event_time":"', Place.TIME,
            b'","call_id":%b,"stream_id":%b,"sequence_number":' % (call_id, stream_id), Place.SEQUENCE,
            b',"media":{"payload":"', Place.PAYLOAD,
            b'","track":"%b","timestamp":' % track.encode(), Place.TIMESTAMP,
            b',"chunk":', Place.CHUNK,
            b"}}",
        )  # fmt: skip

    def count_media(self, track: Channel) -> tuple[int, int]:
        """Count a message of audio (`StreamMessages`)."""
        self._sequence += 1
        self._chunks[track] += 1
        return self._sequence, self._chunks[track]

    def say(self, what: Mark | Digit, at: datetime) -> bytes | None:
        """Write that all audio before a mark has been played or dropped; keys are not sent."""
        if isinstance(what, Digit):
            return None
        return self._message("mark", at, mark={"name": what.name})

    def closing(self, at: datetime) -> tuple[bytes]:
        """Write `stop`."""
        return (self._message("stop", at),)

    def read(self, text: str | bytes, *, played_seconds: float) -> tuple[ServerMessage]:
        """Parse a customer's message; `stream_id` is optional."""
        return (_read(text, self._facts),)

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


def _read(text: str | bytes, facts: StreamFacts) -> ServerMessage:
    try:
        message = _DECODER.decode(text)
        if bytes(message.stream_id) not in (b"null", b"", f'"{facts.stream_id}"'.encode()):
            return Ignored("other_stream")
        if facts.type is StreamType.ONEWAY:
            return Ignored("oneway")
        match message.event:
            case "media":
                return Media(_MEDIA.decode(message.media).payload)
            case "mark":
                return Mark(_MARK.decode(message.mark).name)
            case "clear":
                return Clear()
            case _:
                return Ignored("unknown_event")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Ignored("malformed")
