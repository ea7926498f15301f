"""What waits to be sent to a customer's WebSocket: little, and the newest rather than the oldest."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from bridge.audio.frame import FRAME_SECONDS, SAMPLE_RATE, Frame
from bridge.wire.media_stream import Channel

HELD_SECONDS: Final = 0.8
"""Sound of one track that waits here at most; with what is under way it stays at 2 s."""
MAX_MARKS: Final = 1000
"""Marks that wait to be sent at most; of more the oldest are dropped, and counted."""
CUT_OFF_SECONDS: Final = 10.0
"""A reader that stays behind for so long is given up."""

_MAX_FRAMES: Final = round(HELD_SECONDS / FRAME_SECONDS)


@dataclass(frozen=True, slots=True)
class Waiting:
    """20 ms of a track."""

    track: Channel
    pcm: bytes
    """640 bytes, 16 kHz."""
    timestamp: int
    """Milliseconds since the stream's start."""


class OutboundQueue:
    """The frames of a stream's tracks in the order in which they came, and the marks to send back.

    All tracks are fed by one clock: the first frame of any of them is the stream's start.
    """

    def __init__(self, tracks: tuple[Channel, ...]) -> None:
        self._most = _MAX_FRAMES * len(tracks)
        self._frames: deque[Waiting] = deque()
        self._marks: deque[str] = deque()
        self._first: int | None = None
        self._behind_since: float | None = None
        self.dropped = dict.fromkeys(tracks, 0)
        """Frames that were dropped, by track."""
        self.dropped_marks = 0

    def __len__(self) -> int:
        return len(self._frames) + len(self._marks)

    def push(self, track: Channel, frame: Frame, now: float) -> bool:
        """Take a frame; False when for its sake the oldest was dropped."""
        if self._first is None:
            self._first = frame.pts
        timestamp = (frame.pts - self._first) * 1000 // SAMPLE_RATE
        self._frames.append(Waiting(track, frame.pcm, timestamp))
        if len(self._frames) <= self._most:
            return True
        self.dropped[self._frames.popleft().track] += 1
        if self._behind_since is None:
            self._behind_since = now
        return False

    def mark(self, name: str) -> None:
        """Take the name of a mark that is to be sent back."""
        self._marks.append(name)
        if len(self._marks) > MAX_MARKS:
            self._marks.popleft()
            self.dropped_marks += 1

    def take(self) -> Waiting | str | None:
        """Give what is to be sent next, marks first; None when nothing waits."""
        if self._marks:
            return self._marks.popleft()
        if not self._frames:
            return None
        if len(self._frames) == 1:
            self._behind_since = None
        return self._frames.popleft()

    def hopeless(self, now: float) -> bool:
        """Whether the reader has been behind for so long that it is to be cut off."""
        return self._behind_since is not None and now - self._behind_since >= CUT_OFF_SECONDS
