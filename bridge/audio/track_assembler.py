"""A recording as it is being made: frames laid down one behind the other, gaps filled with silence.

The clock that hands over the frames may be late, make up for it in one go, or leave some out. What
it left out shows as frames that are missing for a whole window, in which every other delay has
passed; so much silence is then put in, and the sound lies again where it was heard.
"""

import math
from typing import Final

from bridge.audio.frame import FRAME_SECONDS, SILENCE

WINDOW_FRAMES: Final = 25
"""Half a second, for which frames must have been missing before silence stands in for them."""
SETTLING_FRAMES: Final = 2 * WINDOW_FRAMES
"""Within these it is found out when the first frame was due; it may have come late."""
MAX_WAITING: Final = 500
"""Frames in memory, 10 s of a disk that stands still."""
_ALMOST: Final = 0.05
"""Of a frame: what a timer may be early."""


class TrackAssembler:
    """One track; its length is the time since its first frame."""

    def __init__(self) -> None:
        self.frames = 0
        """How long the track is by now, in frames."""
        self.overrun = False
        """Whether a frame came while `MAX_WAITING` were still there; it and all later ones are lost."""
        self._waiting: list[bytes] = []
        self._began = 0.0
        self._missing = math.inf
        self._left = WINDOW_FRAMES

    def push(self, pcm: bytes, now: float) -> None:
        """Lay down 20 ms; `now` in seconds of a clock that never goes back."""
        if len(self._waiting) >= MAX_WAITING:
            self.overrun = True
        if self.overrun:
            return
        if not self.frames:
            self._began = now
        missing = (now - self._began) / FRAME_SECONDS - self.frames
        if missing < 0 and self.frames < SETTLING_FRAMES:
            self._began += missing * FRAME_SECONDS
            missing = 0.0
        if missing < self._missing:
            self._missing = missing
        self._waiting.append(pcm)
        self.frames += 1
        self._left -= 1
        if not self._left:
            self._fill()

    def finish(self) -> None:
        """Fill what is missing by now; there are no more frames."""
        self._fill()

    def take(self) -> bytes:
        """Give what was laid down since the last time."""
        taken, self._waiting = b"".join(self._waiting), []
        return taken

    def _fill(self) -> None:
        if self._missing is not math.inf:
            missing = math.floor(self._missing + _ALMOST)
            for _ in range(min(missing, MAX_WAITING - len(self._waiting))):
                self._waiting.append(SILENCE)
                self.frames += 1
        self._missing, self._left = math.inf, WINDOW_FRAMES
