"""What a protocol's messages of audio look like, for what writes them: this module, or compiled code."""

import binascii
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Final, TypeAlias

from bridge.wire.iso8601 import iso8601
from bridge.wire.websocket_frame import TEXT, client_frame


class Place(IntEnum):
    """What changes from one message to the next."""

    PAYLOAD = 0
    """The audio, in Base64."""
    TIME = 1
    """When it is sent, as ISO 8601 in UTC."""
    SEQUENCE = 2
    """Its number among all messages."""
    CHUNK = 3
    """Its number among those of its track."""
    TIMESTAMP = 4
    """Of its first sample, in milliseconds since the stream's start."""


WriteFrame: TypeAlias = Callable[[bytes, bytes, int, int, int, int], bytes]
"""Writes the WebSocket frame of a message to a server: of its audio, a mask (`client_frame`), the Unix time in
milliseconds, its number among all messages and among those of its track, and its timestamp."""
_TEXTS: Final = (Place.PAYLOAD, Place.TIME)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class MediaTemplate:
    """A message: JSON, and the places in it, without quotes."""

    __slots__ = ("_format", "_places", "parts")

    def __init__(self, *parts: bytes | Place) -> None:
        self.parts = parts
        """As they follow one another."""
        self._format = b"".join(
            (b"%b" if part in _TEXTS else b"%d")
            if isinstance(part, Place)
            else part.replace(b"%", b"%%")
            for part in parts
        )
        self._places = [part for part in parts if isinstance(part, Place)]

    def fill(self, audio: bytes, *numbers: int) -> bytes:
        """Write a message; its numbers are those of `WriteFrame`."""
        values = (binascii.b2a_base64(audio, newline=False), *numbers)
        return self._format % tuple(
            _iso8601(numbers[0]) if place is Place.TIME else values[place] for place in self._places
        )


def _iso8601(unix_ms: int) -> bytes:
    return iso8601(_EPOCH + timedelta(milliseconds=unix_ms)).encode()


def frame_writer(template: MediaTemplate) -> WriteFrame:
    """Return what writes the frames of a template."""

    def write(audio: bytes, mask: bytes, *numbers: int) -> bytes:
        return client_frame(TEXT, template.fill(audio, *numbers), mask)

    return write
