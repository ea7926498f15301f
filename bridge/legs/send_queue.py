"""The send queue of a WebSocket, bounded so that a slow reader never hears audio that is too old."""

from collections import deque
from contextlib import suppress
from typing import Final, Generic, TypeVar

QUEUE_SECONDS: Final = 0.8
"""Audio queued here for a slow reader; beyond that the oldest is dropped, and counted."""
WINDOW_SECONDS: Final = 1.2
"""Audio in flight to a reader, both kernels included, as measured by its pongs.

TCP does not show it: a kernel acknowledges data that nobody has read. A reader that answers no pings,
against RFC 6455 §5.5.2, gets this much and no more.
"""
PING_SECONDS: Final = 0.24
"""A ping is sent after this much audio."""
STUCK_SECONDS: Final = 10.0
"""How long a reader may be stuck, or behind, before its connection is dropped."""

Message = TypeVar("Message")
Text = TypeVar("Text")


class OutboundQueue(Generic[Message, Text]):
    """What waits to be sent, and how much audio is in flight."""

    def __init__(self, milliseconds: int, *, tracks: int = 1, max_texts: int = 64) -> None:
        """Make an empty queue for messages of so many milliseconds of audio, of each of the tracks.

        Beyond `max_texts` queued texts the oldest is dropped, and counted.
        """
        self._milliseconds = milliseconds
        self._second = 1000 * tracks
        self._window = WINDOW_SECONDS * self._second - milliseconds
        """Milliseconds that may be in flight before another message."""
        self._texts: deque[Text] = deque(maxlen=max_texts)
        self._audio: deque[Message] = deque()
        self._sent = self._confirmed = 0
        """Milliseconds of audio; confirmed: sent before the last ping that came back."""
        self._pinged: int | None = None
        self._full_since: float | None = None
        self._behind_since: float | None = None
        self.dropped_texts = 0

    @property
    def waiting(self) -> bool:
        """Whether anything is queued."""
        return bool(self._audio or self._texts)

    @property
    def queued_seconds(self) -> float:
        """How much audio is queued."""
        return len(self._audio) * self._milliseconds / self._second

    @property
    def full(self) -> bool:
        """Whether so much is in flight that no more audio may be sent."""
        return self._sent - self._confirmed > self._window

    def add_text(self, text: Text) -> None:
        """Queue a text; texts are sent before all queued audio."""
        if len(self._texts) == self._texts.maxlen:
            self.dropped_texts += 1
        self._texts.append(text)

    def add(self, message: Message, now: float) -> Message | None:
        """Queue a message of audio; return the oldest one if it was dropped for it."""
        self._audio.append(message)
        if len(self._audio) * self._milliseconds <= QUEUE_SECONDS * self._second:
            return None
        if self._behind_since is None:
            self._behind_since = now
        return self._audio.popleft()

    def try_send(self) -> bool:
        """Count a message of audio as sent, unless it must be queued: others are, or too much is in flight."""
        if self._audio or self._texts or self._sent - self._confirmed > self._window:
            return False
        self._sent += self._milliseconds
        return True

    def next(self) -> Message | Text | None:
        """Return what is to be sent now; None when nothing is, or may be."""
        if self._texts:
            return self._texts.popleft()
        if not self._audio or self.full:
            return None
        self._sent += self._milliseconds
        message = self._audio.popleft()
        if not self._audio:
            self._behind_since = None
        return message

    def ping(self) -> bytes | None:
        """Return the payload of the ping that is due; None when none is."""
        if self._pinged is not None and self._sent - self._pinged < PING_SECONDS * self._second:
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

    def is_stuck(self, now: float) -> bool:
        """Whether the window has been full for `STUCK_SECONDS`; to be polled."""
        if not self.full:
            self._full_since = None
        elif self._full_since is None:
            self._full_since = now
        return _since(self._full_since, now)

    def is_behind(self, now: float) -> bool:
        """Whether audio has been dropped and the queue not been empty for `STUCK_SECONDS`."""
        return _since(self._behind_since, now)


def _since(began: float | None, now: float) -> bool:
    return began is not None and now - began >= STUCK_SECONDS
