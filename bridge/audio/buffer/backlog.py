"""Frames buffered with their arrival times, for sinks that can be served late."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from bridge.audio.buffer.playout import Playout
from bridge.audio.frame import SILENCE, Frame

MAX_FRAMES: Final = 250
"""5 s of one source; beyond that the oldest are dropped."""


class FrameBacklog:
    """The frames of one source not yet pushed to its playout buffer."""

    __slots__ = ("_frames", "dropped")

    def __init__(self) -> None:
        self._frames: deque[tuple[Frame, float]] = deque()
        self.dropped = 0
        """Frames dropped because the backlog was full."""

    def push(self, frame: Frame, now: float) -> None:
        """Append a frame."""
        self._frames.append((frame, now))
        if len(self._frames) > MAX_FRAMES:
            self._frames.popleft()
            self.dropped += 1

    def release(self, playout: Playout | None, until: float) -> None:
        """Push the frames that arrived up to `until`, each with its own arrival time."""
        frames = self._frames
        while frames and frames[0][1] <= until:
            frame, arrival = frames.popleft()
            if playout is not None:
                playout.push(frame, arrival)

    def pull(self, playout: Playout | None, ticks: Sequence[float]) -> list[bytes]:
        """Return what `playout` would have played at each tick, had it been pulled in time.

        The ticks are 20 ms apart, none before those of the previous call.
        """
        if playout is None:
            return [SILENCE] * len(ticks)
        frames = []
        for due in ticks:
            self.release(playout, due)
            frames.append(playout.pull(due) or SILENCE)
        return frames
