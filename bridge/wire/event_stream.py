"""A client-side parser of server-sent events (WHATWG HTML, section 9.2)."""

from dataclasses import dataclass
from typing import Final

MAX_BYTES: Final = 256 * 1024
"""Size limit of one event; longer ones are dropped."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event."""

    kind: str
    """The field `event`, or empty."""
    data: str


class EventStreamReader:
    """Parses a stream that arrives in pieces of any size."""

    def __init__(self) -> None:
        self.last_id = ""
        """To be sent as `Last-Event-ID` when reconnecting."""
        self.retry_seconds: float | None = None
        """The reconnection time that the server asked for, if any."""
        self._rest = b""
        self._fields: list[tuple[str, str]] = []
        self._bytes = 0

    def begin(self) -> None:
        """Drop a partial event: the next piece begins a new stream."""
        self._rest = b""
        self._drop()

    def read(self, piece: bytes) -> list[ServerEvent]:
        """Parse a piece and return the events that it completes."""
        # A piece may end between the CR and LF of a line ending.
        text = self._rest + piece
        held = b"\r" if text.endswith(b"\r") else b""
        lines = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, rest = lines.split(b"\n")
        if self._bytes + len(rest) > MAX_BYTES:
            self._bytes, rest = MAX_BYTES + 1, rest[:1]
        self._rest = rest + held
        found = (self._line(line) for line in whole)
        return [event for event in found if event is not None]

    def _line(self, line: bytes) -> ServerEvent | None:
        if not line:
            return self._dispatch()
        self._bytes += len(line)
        if self._bytes <= MAX_BYTES:
            name, _, value = line.decode("utf-8", "replace").partition(":")
            self._fields.append((name.removeprefix("\ufeff"), value.removeprefix(" ")))
        return None

    def _dispatch(self) -> ServerEvent | None:
        fields, too_long = self._fields, self._bytes > MAX_BYTES
        self._drop()
        if too_long:
            return None
        for name, value in fields:
            if name == "id" and "\0" not in value:
                self.last_id = value
            elif name == "retry" and value.isascii() and value.isdigit():
                self.retry_seconds = int(value[:9]) / 1000
        data = [value for name, value in fields if name == "data"]
        kinds = [value for name, value in fields if name == "event"]
        return ServerEvent(kinds[-1] if kinds else "", "\n".join(data)) if data else None

    def _drop(self) -> None:
        self._fields = []
        self._bytes = 0
