"""Sound that comes faster than it is played: a queue that gives it out frame by frame."""

from collections import deque
from typing import Final, NamedTuple

from bridge.audio.frame import FRAME_BYTES, SAMPLE_RATE

LIMIT_SECONDS: Final = 60.0
"""So much sound waits at most unless told otherwise; of more, the oldest is dropped."""
PAUSE_SECONDS: Final = 0.5
"""A sender that watches the queue pauses when this much waits."""
RESUME_SECONDS: Final = 0.25
"""It goes on when this little is left."""
MAX_MARKS: Final = 1000
"""So many marks wait at most; of more, the oldest is told at once."""

_SECOND_BYTES: Final = 2 * SAMPLE_RATE


class _Mark(NamedTuple):
    place: int
    """In bytes since the queue began."""
    name: str


class PacedQueue:
    """Takes any amount of 16 kHz sound and gives 640 bytes for each 20 ms.

    A queue that runs empty in the middle of a frame waits one frame for the rest, then fills it
    with silence. Marks stand between sounds: a name is told once what came before it was played.
    """

    __slots__ = (
        "_begin", "_limit", "_marks", "_playing", "_reached", "_sound", "_waited", "dropped_bytes"
    )  # fmt: skip

    def __init__(self, *, limit_seconds: float = LIMIT_SECONDS) -> None:
        """Make an empty queue; `limit_seconds` of sound wait at most."""
        self._limit = round(limit_seconds * _SECOND_BYTES)
        self._sound = bytearray()
        self._begin = 0
        """Place of the first byte of `_sound`."""
        self._marks: deque[_Mark] = deque()
        self._reached: list[str] = []
        self._playing = False
        """Whether a frame was given that is being played now."""
        self._waited = False
        self.dropped_bytes = 0
        """How much sound was too much, of all there was."""

    @property
    def buffered_seconds(self) -> float:
        """How much sound waits."""
        return len(self._sound) / _SECOND_BYTES

    @property
    def dropped_seconds(self) -> float:
        """How much sound was too much, of all there was."""
        return self.dropped_bytes / _SECOND_BYTES

    @property
    def limit_seconds(self) -> float:
        """How much sound waits at most."""
        return self._limit / _SECOND_BYTES

    def add(self, pcm: bytes) -> None:
        """Take sound; above the limit the oldest is dropped, and counted.

        Args:
            pcm: Whole samples at 16 kHz.
        """
        self._sound += pcm
        self._waited = False
        excess = len(self._sound) - self._limit
        if excess > 0:
            self._take(excess)
            self.dropped_bytes += excess

    def mark(self, name: str) -> None:
        """Set a mark behind all sound that waits; `reached` tells it, at once if none does."""
        if not self._sound and not self._playing:
            self._reached.append(name)
            return
        self._marks.append(_Mark(self._begin + len(self._sound), name))
        if len(self._marks) > MAX_MARKS:
            self._reached.append(self._marks.popleft().name)

    def reached(self) -> list[str]:
        """Give the marks before which all was played, each once, in the order of their setting."""
        names, self._reached = self._reached, []
        return names

    def pull(self) -> bytes | None:
        """Give the next 640 bytes, called every 20 ms; None when there is nothing to play.

        The frame that was given by the last call counts as played now.
        """
        self._reach()
        size = len(self._sound)
        if size < FRAME_BYTES and (not size or not self._waited):
            self._waited = True
            self._playing = False
            return None
        frame = bytes(self._sound[:FRAME_BYTES])
        self._take(len(frame))
        self._playing = True
        return frame if size >= FRAME_BYTES else frame + bytes(FRAME_BYTES - size)

    def clear(self) -> list[str]:
        """Drop all that waits, uncounted, and give every mark that has not been told."""
        names = self.reached() + [mark.name for mark in self._marks]
        self._marks.clear()
        self._take(len(self._sound))
        return names

    def _reach(self) -> None:
        while self._marks and self._marks[0].place <= self._begin:
            self._reached.append(self._marks.popleft().name)

    def _take(self, count: int) -> None:
        del self._sound[:count]
        self._begin += count


class Watermarks:
    """Says when a queue has become too full to go on filling it, and empty enough again."""

    __slots__ = ("full",)

    def __init__(self) -> None:
        self.full = False
        """Whether senders should pause."""

    def crossed(self, buffered_seconds: float) -> bool:
        """Note how much waits; True when that changes what senders should do."""
        limit = RESUME_SECONDS if self.full else PAUSE_SECONDS
        full = buffered_seconds > limit if self.full else buffered_seconds >= limit
        changed = full is not self.full
        self.full = full
        return changed
