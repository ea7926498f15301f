"""The send queue of a stream to a customer's WebSocket; it drops the oldest frames."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from bridge.audio.frame import FRAME_SECONDS, SAMPLE_RATE, Frame
from bridge.wire.media_stream import Channel

MAX_SECONDS: Final = 0.8
"""Capacity per track; with what is in flight, at most 2 s are buffered."""
MAX_MARKS: Final = 1000
"""Maximum of queued marks; beyond it the oldest are dropped and counted."""
CUT_OFF_SECONDS: Final = 10.0
"""A reader that stays behind for this long is disconnected."""

_MAX_FRAMES: Final = round(MAX_SECONDS / FRAME_SECONDS)


@dataclass(frozen=True, slots=True)
class QueuedFrame:
    """20 ms of a track."""

    track: Channel
    pcm: bytes
    """640 bytes, 16 kHz."""
    timestamp: int
    """Milliseconds since the stream's start."""


class OutboundQueue:
    """The frames of a stream's tracks in order of arrival, and the marks to send back.

    All tracks share one clock; the first frame of any of them is the stream's start.
    """

    def __init__(self, tracks: tuple[Channel, ...]) -> None:
        self._max_frames = _MAX_FRAMES * len(tracks)
        self._frames: deque[QueuedFrame] = deque()
        self._marks: deque[str] = deque()
        self._first: int | None = None
        self._behind_since: float | None = None
        self.dropped = dict.fromkeys(tracks, 0)
        """Dropped frames by track."""
        self.dropped_marks = 0

    def __len__(self) -> int:
        return len(self._frames) + len(self._marks)

    def push(self, track: Channel, frame: Frame, now: float) -> bool:
        """Queue a frame; return False if the oldest one was dropped for it."""
        if self._first is None:
            self._first = frame.pts
        timestamp = (frame.pts - self._first) * 1000 // SAMPLE_RATE
        self._frames.append(QueuedFrame(track, frame.pcm, timestamp))
        if len(self._frames) <= self._max_frames:
            return True
        self.dropped[self._frames.popleft().track] += 1
        if self._behind_since is None:
            self._behind_since = now
        return False

    def mark(self, name: str) -> None:
        """Queue a mark."""
        self._marks.append(name)
        if len(self._marks) > MAX_MARKS:
            self._marks.popleft()
            self.dropped_marks += 1

    def pop(self) -> QueuedFrame | str | None:
        """Return what is to be sent next, marks first; None if the queue is empty."""
        if self._marks:
            return self._marks.popleft()
        if not self._frames:
            return None
        if len(self._frames) == 1:
            self._behind_since = None
        return self._frames.popleft()

    def reader_stalled(self, now: float) -> bool:
        """Return whether the reader has been behind for `CUT_OFF_SECONDS`."""
        return self._behind_since is not None and now - self._behind_since >= CUT_OFF_SECONDS
