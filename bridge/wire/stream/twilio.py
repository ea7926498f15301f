"""Messages of a media stream as Twilio sends and understands them: JSON with base64 audio, mu-law at 8 kHz.

Source: Twilio, "Media Streams - WebSocket Messages". All numbers but those of `mediaFormat` are strings.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from bridge.wire import call_id as forms
from bridge.wire.stream.media_format import Encoding, MediaFormat
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

TWILIO: Final = MediaFormat(Encoding.MULAW, 8_000, 20)
"""160 bytes; the only format there is."""
CONNECTED: Final = b'{"event":"connected","protocol":"Call","version":"1.0.0"}'
DIGITS_TRACK: Final = "inbound_track"


class _Media(Struct):
    payload: bytes
    """Decoded from base64."""


class _Mark(Struct):
    name: str


class _Message(Struct, rename="camel"):
    event: str
    stream_sid: str | None = None
    media: _Media | None = None
    mark: _Mark | None = None


_DECODER: Final = msgspec.json.Decoder(_Message)


def stream_sid(stream_id: str) -> str:
    """Return `MZ` and the 32 digits of a stream's id."""
    return "MZ" + stream_id.replace("-", "").lower()


def account_sid(line: str) -> str:
    """Return `AC` and the first 32 digits of the SHA-256 of a line's name."""
    return "AC" + hashlib.sha256(line.encode()).hexdigest()[:32]


class TwilioMessages:
    """Writes, numbers and reads a stream's messages (`media_stream.StreamMessages`).

    `sequenceNumber` counts all messages but `connected`, `chunk` the `media` messages of one track, both
    from 1.
    """

    def __init__(self, facts: StreamFacts) -> None:
        self._facts = facts
        self._sid = stream_sid(facts.stream_id)
        native = forms.native(facts.call_id) or facts.call_id
        self._call = {"accountSid": account_sid(facts.line), "callSid": forms.twilio(native)}
        self._sequence = 0
        self._chunks = dict.fromkeys(facts.tracks, 0)

    def opening(self, at: datetime) -> tuple[bytes, bytes]:
        """Write `connected`, and `start` with the properties of the stream."""
        start = {
            "streamSid": self._sid,
            **self._call,
            "tracks": [track.value for track in self._facts.tracks],
            "customParameters": dict(self._facts.parameters),
            "mediaFormat": {
                "encoding": "audio/x-mulaw",
                "sampleRate": TWILIO.sample_rate,
                "channels": 1,
            },
        }
        return CONNECTED, self._message("start", start)

    def media(self, track: Channel) -> MediaTemplate:
        """Return what a track's messages of audio look like."""
        return MediaTemplate(
            b'{"event":"media","sequenceNumber":"', Place.SEQUENCE,
            b'","media":{"track":"%b","chunk":"' % track.encode(), Place.CHUNK,
            b'","timestamp":"', Place.TIMESTAMP,
            b'","payload":"', Place.PAYLOAD,
            b'"},"streamSid":"%b"}' % self._sid.encode(),
        )  # fmt: skip

    def count_media(self, track: Channel) -> tuple[int, int]:
        """Count a message of audio (`StreamMessages`)."""
        self._sequence += 1
        self._chunks[track] += 1
        return self._sequence, self._chunks[track]

    def say(self, what: Mark | Digit, at: datetime) -> bytes | None:
        """Write that all audio before a mark has been played or dropped, or that a key was pressed.

        On a one-way stream keys are not sent.
        """
        if isinstance(what, Mark):
            return self._message("mark", {"name": what.name})
        if self._facts.type is StreamType.ONEWAY:
            return None
        return self._message("dtmf", {"track": DIGITS_TRACK, "digit": what.key})

    def closing(self, at: datetime) -> tuple[bytes]:
        """Write `stop`."""
        return (self._message("stop", self._call),)

    def read(self, text: str | bytes, *, played_seconds: float) -> Sequence[ServerMessage]:
        """Parse a message of the server; `streamSid` may be left out."""
        return (self._read(text),)

    def _read(self, text: str | bytes) -> ServerMessage:
        try:
            message = _DECODER.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return Ignored("malformed")
        if message.stream_sid is not None and message.stream_sid != self._sid:
            return Ignored("other_stream")
        if self._facts.type is StreamType.ONEWAY:
            return Ignored("oneway")
        match message.event:
            case "media":
                return Media(message.media.payload) if message.media else Ignored("malformed")
            case "mark" if message.mark is None or len(message.mark.name) > MAX_MARK:
                return Ignored("malformed")
            case "mark" if message.mark is not None:
                return Mark(message.mark.name)
            case "clear":
                return Clear()
            case _:
                return Ignored("unknown_event")

    def _message(self, event: str, content: object) -> bytes:
        self._sequence += 1
        message = {
            "event": event,
            "sequenceNumber": str(self._sequence),
            event: content,
            "streamSid": self._sid,
        }
        return msgspec.json.encode(message)
