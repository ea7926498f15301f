"""Frames put by with the time they came at, for listeners who can wait to hear them."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from bridge.audio.frame import SILENCE, Frame
from bridge.audio.playout import Playout

MAX_KEPT: Final = 250
"""Five seconds of one source; beyond that the oldest go."""


class Deferred:
    """What one source has given since somebody listened last."""

    __slots__ = ("_kept", "dropped")

    def __init__(self) -> None:
        self._kept: deque[tuple[Frame, float]] = deque()
        self.dropped = 0
        """Frames that were too many to keep."""

    def push(self, frame: Frame, now: float) -> None:
        """Put a frame by."""
        self._kept.append((frame, now))
        if len(self._kept) > MAX_KEPT:
            self._kept.popleft()
            self.dropped += 1

    def release(self, playout: Playout | None, until: float) -> None:
        """Give a playout buffer what came until a moment, each frame at its own time."""
        kept = self._kept
        while kept and kept[0][1] <= until:
            frame, came = kept.popleft()
            if playout is not None:
                playout.push(frame, came)

    def pull(self, playout: Playout | None, ticks: Sequence[float]) -> list[bytes]:
        """Give what the buffer would have given at each tick, had it been asked in time.

        Args:
            playout: The source's buffer.
            ticks: Moments 20 ms apart, none before those of the last time.
        """
        if playout is None:
            return [SILENCE] * len(ticks)
        frames = []
        for due in ticks:
            self.release(playout, due)
            frames.append(playout.pull(due) or SILENCE)
        return frames
