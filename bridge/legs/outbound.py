"""What waits for the reader of a socket, so that a slow one never hears what is too old."""

from collections import deque
from contextlib import suppress
from typing import Final

QUEUE_SECONDS: Final = 0.8
"""How much sound waits here for a slow reader; of more, the oldest is dropped, and counted."""
WINDOW_SECONDS: Final = 1.2
"""How much sound may be under way to a reader, both kernels included, as its pongs tell.

Nothing else tells it: a kernel acknowledges what nobody has read. A reader that answers no pings,
against RFC 6455 section 5.5.2, gets so much and no more.
"""
PING_SECONDS: Final = 0.24
"""After how much sound a ping is sent; the first one goes before all sound."""
MAX_TEXTS: Final = 64
"""So many texts wait for a slow reader; of more, the oldest is dropped."""


class Outbound:
    """What waits for a reader, and what is known of what is under way to it."""

    def __init__(self, second_bytes: int, message_bytes: int) -> None:
        """Make an empty queue.

        Args:
            second_bytes: size of one second of its sound.
            message_bytes: size of its messages of sound.
        """
        self._second_bytes = second_bytes
        self._most_under_way = WINDOW_SECONDS * second_bytes - message_bytes
        self._texts: deque[str] = deque(maxlen=MAX_TEXTS)
        self._sound: deque[bytes] = deque()
        self._waiting = 0
        self._sent = 0
        self._pinged: int | None = None
        self._confirmed = 0
        """How much was sent before the last ping that came back."""
        self._closed_since: float | None = None
        """Since when the window has been full."""

    @property
    def full(self) -> bool:
        """Whether so much is under way that no more sound may be sent."""
        return self._sent - self._confirmed > self._most_under_way

    def say(self, text: str) -> None:
        """Take a text; it goes before all sound that waits."""
        self._texts.append(text)

    def add(self, message: bytes) -> float:
        """Take a message of sound; gives how many seconds were dropped for it."""
        self._sound.append(message)
        self._waiting += len(message)
        dropped = 0
        while self._waiting > QUEUE_SECONDS * self._second_bytes:
            oldest = len(self._sound.popleft())
            self._waiting -= oldest
            dropped += oldest
        return dropped / self._second_bytes

    def next(self) -> bytes | str | None:
        """Give what is to be sent now; None when nothing is, or may be."""
        if self._texts:
            return self._texts.popleft()
        if not self._sound or self.full:
            return None
        message = self._sound.popleft()
        self._waiting -= len(message)
        self._sent += len(message)
        return message

    def ping(self) -> bytes | None:
        """Give the payload of the ping that is due; None when none is."""
        due = 0.0 if self._pinged is None else PING_SECONDS * self._second_bytes + self._pinged
        if self._sent < due:
            return None
        self._pinged = self._sent
        return str(self._sent).encode()

    def confirm(self, payload: bytes) -> None:
        """Take the payload of a pong; what was never sent is ignored."""
        with suppress(ValueError):
            confirmed = int(payload)
            if self._confirmed <= confirmed <= self._sent:
                self._confirmed = confirmed
                self._closed_since = None

    def stuck_seconds(self, now: float) -> float:
        """Say for how long the window has been full; to be asked again and again."""
        if not self.full:
            self._closed_since = None
        elif self._closed_since is None:
            self._closed_since = now
        return 0.0 if self._closed_since is None else now - self._closed_since
