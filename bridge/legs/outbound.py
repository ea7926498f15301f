"""The send queue of a WebSocket, bounded so that a slow reader never hears audio that is too old."""

from collections import deque
from contextlib import suppress
from typing import Final

QUEUE_SECONDS: Final = 0.8
"""Audio queued here for a slow reader; beyond that the oldest is dropped, and counted."""
WINDOW_SECONDS: Final = 1.2
"""Audio in flight to a reader, both kernels included, as measured by its pongs.

TCP does not show it: a kernel acknowledges data that nobody has read. A reader that answers no pings,
against RFC 6455 §5.5.2, gets this much and no more.
"""
PING_SECONDS: Final = 0.24
"""A ping is sent after this much audio; the first one goes before all audio."""
MAX_TEXTS: Final = 64
"""Texts queued for a slow reader; beyond that the oldest is dropped."""


class OutboundQueue:
    """What waits to be sent, and how much is in flight."""

    def __init__(self, second_bytes: int, message_bytes: int) -> None:
        """Make an empty queue.

        Args:
            second_bytes: size of one second of audio.
            message_bytes: size of one message of audio.
        """
        self._second_bytes = second_bytes
        self._max_in_flight = WINDOW_SECONDS * second_bytes - message_bytes
        self._texts: deque[str] = deque(maxlen=MAX_TEXTS)
        self._audio: deque[bytes] = deque()
        self._queued = 0
        self._sent = 0
        self._pinged: int | None = None
        self._confirmed = 0
        """Bytes sent before the last ping that came back."""
        self._full_since: float | None = None

    @property
    def full(self) -> bool:
        """Whether so much is in flight that no more audio may be sent."""
        return self._sent - self._confirmed > self._max_in_flight

    def add_text(self, text: str) -> None:
        """Queue a text; texts are sent before all queued audio."""
        self._texts.append(text)

    def add(self, message: bytes) -> float:
        """Queue a message of audio; return how many seconds were dropped for it."""
        self._audio.append(message)
        self._queued += len(message)
        dropped = 0
        while self._queued > QUEUE_SECONDS * self._second_bytes:
            oldest = len(self._audio.popleft())
            self._queued -= oldest
            dropped += oldest
        return dropped / self._second_bytes

    def next(self) -> bytes | str | None:
        """Return what is to be sent now; None when nothing is, or may be."""
        if self._texts:
            return self._texts.popleft()
        if not self._audio or self.full:
            return None
        message = self._audio.popleft()
        self._queued -= len(message)
        self._sent += len(message)
        return message

    def ping(self) -> bytes | None:
        """Return the payload of the ping that is due; None when none is."""
        due = 0.0 if self._pinged is None else PING_SECONDS * self._second_bytes + self._pinged
        if self._sent < due:
            return None
        self._pinged = self._sent
        return str(self._sent).encode()

    def confirm(self, payload: bytes) -> None:
        """Take the payload of a pong; one that was never sent is ignored."""
        with suppress(ValueError):
            confirmed = int(payload)
            if self._confirmed <= confirmed <= self._sent:
                self._confirmed = confirmed
                self._full_since = None

    def stuck_seconds(self, now: float) -> float:
        """Return for how long the window has been full; to be polled."""
        if not self.full:
            self._full_since = None
        elif self._full_since is None:
            self._full_since = now
        return 0.0 if self._full_since is None else now - self._full_since
