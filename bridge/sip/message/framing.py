"""Messages of a TCP or TLS stream (RFC 3261 section 18.3), and its keep-alives (RFC 5626 section 3.5.1)."""

import re

from bridge.sip.message.message import MAX_BYTES, MAX_HEAD

KEEP_ALIVE = b"\r\n\r\n"
"""A ping; the answer is one CRLF."""
PONG = b"\r\n"
_LENGTH = re.compile(
    rb"\r\n(?:content-length|l)[ \t]*:[ \t]*([0-9]{1,9})[ \t]*(?=\r\n)", re.IGNORECASE
)


class StreamError(Exception):
    """The stream has lost its framing; the connection must be closed."""


class StreamFramer:
    """Splits a stream into messages; buffers at most 64 kB."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._looked = 0
        self._size = 0
        """Of the message that has begun, once it is known."""
        self.pings = 0
        """Pings received, to be answered with `PONG`; the owner resets it to 0."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that are complete now.

        Raises:
            StreamError: a message without Content-Length, or larger than 64 kB, 16 kB of them in its header section.
        """
        self._buffer += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> bytes | None:
        buffer = self._buffer
        if not self._size:
            self._skip_keep_alives()
            self._size = self._size_of_next()
        if not self._size or len(buffer) < self._size:
            return None
        message = bytes(buffer[: self._size])
        del buffer[: self._size]
        self._size = self._looked = 0
        return message

    def _size_of_next(self) -> int:
        """Return the size of the next message; 0 while its header section is incomplete."""
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", max(self._looked - 3, 0))
        self._looked = len(buffer)
        if (end if end >= 0 else len(buffer)) > MAX_HEAD:
            raise StreamError("a header section that does not end")
        if end < 0:
            return 0
        lengths = set(_LENGTH.findall(buffer, 0, end + 2))
        if len(lengths) != 1:
            raise StreamError("a message of unknown length")
        size = end + 4 + int(lengths.pop())
        if size > MAX_BYTES:
            raise StreamError("a message that is too large")
        return size

    def _skip_keep_alives(self) -> None:
        buffer = self._buffer
        while buffer.startswith(KEEP_ALIVE):
            del buffer[:4]
            self.pings += 1
            self._looked = 0
        # One CRLF is a pong, or the first half of a ping: the next octet tells.
        while len(buffer) > 2 and buffer.startswith(PONG) and buffer[2:3] != b"\r":
            del buffer[:2]
            self._looked = 0
