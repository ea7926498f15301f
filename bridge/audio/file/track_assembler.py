"""Assembling the frames of a recorded track, with silence for skipped ones.

The clock may deliver frames late, several at once, or skip some. A frame that is missing for a
whole window, longer than any delay, was skipped; silence takes its place, so that the audio stays
aligned with the time it was heard.
"""

import math
from typing import Final

import msgspec

from bridge.audio.frame import FRAME_SECONDS, SILENCE

WINDOW_FRAMES: Final = 25
"""Half a second: how long frames must be missing before silence replaces them."""
START_UP_FRAMES: Final = 2 * WINDOW_FRAMES
"""Frames in which the due time of the first one is determined; it may have been late."""
MAX_BUFFERED: Final = 500
"""Frames in memory: 10 s of a blocked disk."""
_TIMER_TOLERANCE: Final = 0.05
"""In frames: how early a timer may fire."""


class AssemblerSnapshot(msgspec.Struct, frozen=True):
    """A track that goes on elsewhere."""

    frames: int = 0
    start: float = 0.0
    buffered: bytes = b""


NEW_TRACK: Final = AssemblerSnapshot()


class TrackAssembler:
    """One track, as long as the time since its first frame."""

    def __init__(self, before: AssemblerSnapshot = NEW_TRACK) -> None:
        self.frames = before.frames
        """Length of the track in frames."""
        self.overrun = False
        """Whether the buffer overflowed; the track ends there."""
        self._buffer = [before.buffered] if before.buffered else []
        self.start = before.start
        """When its first frame came."""
        self._missing = math.inf
        self._window = WINDOW_FRAMES

    def push(self, pcm: bytes, now: float) -> None:
        """Append 20 ms; `now` is monotonic seconds."""
        if len(self._buffer) >= MAX_BUFFERED:
            self.overrun = True
        if self.overrun:
            return
        if not self.frames:
            self.start = now
        missing = (now - self.start) / FRAME_SECONDS - self.frames
        if missing < 0 and self.frames < START_UP_FRAMES:
            self.start += missing * FRAME_SECONDS
            missing = 0.0
        if missing < self._missing:
            self._missing = missing
        self._buffer.append(pcm)
        self.frames += 1
        self._window -= 1
        if not self._window:
            self.fill()

    def snapshot(self) -> AssemblerSnapshot:
        """Return the track as it stands."""
        return AssemblerSnapshot(self.frames, self.start, b"".join(self._buffer))

    @property
    def seconds(self) -> float:
        """Until when it has audio, in seconds since 0."""
        return self.start + self.frames * FRAME_SECONDS

    def leap(self, now: float) -> int:
        """Count frames of silence until now without buffering them; return how many, at least 0."""
        skipped = max(0, math.floor((now - self.start) / FRAME_SECONDS) - self.frames)
        self.frames += skipped
        return skipped

    def skip(self, now: float) -> None:
        """Append silence up to now, in seconds since 0 if there was no frame yet: nothing was heard until then."""
        self._missing = (now - self.start) / FRAME_SECONDS - self.frames
        self.fill()

    def fill(self) -> None:
        """Replace skipped frames by silence; to be called after the last frame too."""
        if self._missing is not math.inf:
            missing = math.floor(self._missing + _TIMER_TOLERANCE)
            for _ in range(min(missing, MAX_BUFFERED - len(self._buffer))):
                self._buffer.append(SILENCE)
                self.frames += 1
        self._missing, self._window = math.inf, WINDOW_FRAMES

    def drain(self) -> bytes:
        """Return and remove the buffered audio."""
        pcm, self._buffer = b"".join(self._buffer), []
        return pcm
