"""A queue for audio that arrives faster than it is played."""

from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

from bridge.audio.buffer.pauses import (
    AFTER_FRAMES,
    BEFORE_FRAMES,
    PAUSE_FRAMES,
    is_silent,
    long_pauses,
    silent_frames,
)
from bridge.audio.detect.level import SILENT, level
from bridge.audio.frame import FRAME_BYTES, FRAME_SECONDS, SAMPLE_RATE

LIMIT_SECONDS: Final = 60.0
"""Default capacity; beyond it the oldest audio is dropped."""
PAUSE_SECONDS: Final = 0.5
"""High watermark: a sender should pause when this much is buffered."""
RESUME_SECONDS: Final = 0.25
"""Low watermark: it should resume when no more than this is buffered."""
HELD_SECONDS: Final = 10.0
"""Capacity while held; beyond it silence is dropped first, then the newest audio."""
MAX_MARKS: Final = 1000
"""Limit of pending marks; beyond it the oldest is reported at once."""

_SECOND_BYTES: Final = 2 * SAMPLE_RATE
_LATE_FRAMES: Final = 3
"""How long a message may be late: only after so many empty frames the rest of a frame is padded."""
_PAUSE_FRAMES: Final = 15
"""A sender that has sent nothing for so many frames pauses: what is left is its last, what follows begins anew."""


class _Mark(NamedTuple):
    position: int
    """Byte position since the queue was created."""
    name: str


class _Gap(NamedTuple):
    """Audio that was dropped between what is buffered."""

    position: int
    size: int


@dataclass(frozen=True, slots=True)
class QueuedAudio:
    """What a queue has, for another one that goes on with it."""

    audio: bytes
    marks: tuple[tuple[int, str], ...]
    """How many bytes of the audio come before each mark that is not reported yet, and its name."""
    dropped_bytes: int


class PacedQueue:
    """Takes any amount of 16 kHz audio and returns 640 bytes every 20 ms.

    When the queue runs empty in the middle of a frame, it waits 60 ms for the rest, then pads it with
    silence; at once if nothing has been added for 300 ms. A mark is reported once all audio before it
    has been played.

    While it is held (`hold`), nothing is played and at most `HELD_SECONDS` are kept. After `release`, pauses of more than
    100 ms are shortened until the delay that the hold caused is gone.
    """

    __slots__ = (
        "_audio",
        "_dropped_bytes",
        "_empty",
        "_gaps",
        "_hold",
        "_holds",
        "_late",
        "_limit",
        "_marks",
        "_pause",
        "_pulls",
        "_reached",
        "_squeezed",
        "_start",
        "_waited",
        "held",
        "held_dropped_seconds",
        "held_seconds",
    )  # fmt: skip

    def __init__(self, *, limit_seconds: float = LIMIT_SECONDS, holds: bool = False) -> None:
        """Make an empty queue.

        With `holds`, audio that begins anew with other than whole frames is played one frame later: a
        party that sends it at real time completes a frame up to 20 ms after its beginning.
        """
        self._limit = round(limit_seconds * _SECOND_BYTES)
        self._holds = holds
        self._hold = False
        self._audio = bytearray()
        self._start = 0
        """Position of the first byte of `_audio`."""
        self._marks: deque[_Mark] = deque()
        self._reached: list[str] = []
        self._empty = _PAUSE_FRAMES
        """Empty frames since the last one; 0 while that is being played."""
        self._waited = 0
        """Empty frames since audio was added last."""
        self._pulls = 0
        """All frames since then."""
        self._dropped_bytes = 0
        self._gaps: deque[_Gap] = deque()
        self.held = False
        """Whether playing is on hold."""
        self.held_seconds = 0.0
        """Total time for which speech waited because the queue was held."""
        self.held_dropped_seconds = 0.0
        """Total speech dropped because the queue was held."""
        self._late = 0
        """Delay of the buffered audio due to a hold, in frames."""
        self._pause = 0
        """Silent frames played since the last voiced one; counted only while there is a delay."""
        self._squeezed = 0
        """Offset in `_audio` before which pauses have been shortened already."""

    @property
    def buffered_seconds(self) -> float:
        """How much audio is buffered."""
        return len(self._audio) / _SECOND_BYTES

    @property
    def level_dbov(self) -> float:
        """The level of the newest second in the queue, in dBov; `SILENT` if the queue is empty."""
        return level(bytes(self._audio[-_SECOND_BYTES:])) if self._audio else SILENT

    @property
    def left_seconds(self) -> float:
        """How much of all audio that was added has left the queue: was played, cleared or dropped."""
        return self._start / _SECOND_BYTES

    def speech_until(self, seconds: float) -> float:
        """Return the value of `left_seconds` once the last voiced frame within the next `seconds` has left the queue."""
        size = min(len(self._audio), round(seconds * _SECOND_BYTES))
        for start in reversed(range(0, size, FRAME_BYTES)):
            part = bytes(self._audio[start : start + FRAME_BYTES])
            if not is_silent(part):
                return self._position(start + len(part)) / _SECOND_BYTES
        return self.left_seconds

    @property
    def late(self) -> bool:
        """Whether the buffered audio is still delayed by a hold."""
        return self._late > 0

    @property
    def dropped_seconds(self) -> float:
        """How much audio was dropped in total because the queue was full."""
        return self._dropped_bytes / _SECOND_BYTES

    def add(self, pcm: bytes) -> float:
        """Append whole samples at 16 kHz; drop and count the oldest beyond the limit, and return their seconds."""
        if self._holds and not self._audio and self._empty >= _PAUSE_FRAMES:
            self._hold = len(pcm) % FRAME_BYTES > 0
        self._audio += pcm
        self._waited = self._pulls = 0
        if self.held:
            self._keep_held()
        excess = len(self._audio) - self._limit
        if excess <= 0:
            return 0.0
        self._remove(excess)
        self._dropped_bytes += excess
        return excess / _SECOND_BYTES

    def mark(self, name: str) -> None:
        """Set a mark after all buffered audio, to be reported by `reached`."""
        if not self._audio and self._empty:
            self._reached.append(name)
            return
        self._marks.append(_Mark(self._position(len(self._audio)), name))
        if len(self._marks) > MAX_MARKS:
            self._reached.append(self._marks.popleft().name)

    def reached(self) -> list[str]:
        """Return the marks reached since the previous call, in the order they were set."""
        names, self._reached = self._reached, []
        return names

    def pull(self) -> bytes | None:
        """Return the next 640 bytes, called every 20 ms; None when there is nothing to play.

        The frame returned by the previous call counts as played now.
        """
        if self._marks:
            self._reach()
        if self.held:
            self._wait()
            return None
        if self._late:
            self._shorten_pause()
        size = len(self._audio)
        self._pulls += 1
        if self._hold or (size < FRAME_BYTES and not (size and self._is_last)):
            self._hold = False
            self._waited += 1
            self._empty += 1
            return None
        frame = bytes(self._audio[:FRAME_BYTES])
        self._remove(len(frame))
        self._empty = 0
        if self._late:
            self._pause = self._pause + 1 if is_silent(frame) else 0
        return frame if size >= FRAME_BYTES else frame + bytes(FRAME_BYTES - size)

    def clear(self) -> list[str]:
        """Drop all buffered audio, uncounted, and return every mark not reported yet."""
        names = self.reached() + [mark.name for mark in self._marks]
        self._marks.clear()
        self._remove(len(self._audio))
        self._late = 0
        return names

    def hold(self) -> None:
        """Stop playing until `release`."""
        if self.held:
            return
        self.held = True
        self._squeezed = 0
        self._pause = AFTER_FRAMES if self._empty else 0
        self._keep_held()

    def release(self) -> None:
        """Resume playing."""
        if self.held:
            self.held = False
            self._late = min(self._late, len(self._audio) // FRAME_BYTES)

    def drop_held(self) -> None:
        """Drop what is held, and count it; for a queue that will not be played again."""
        if self.held:
            self.held_dropped_seconds += self.buffered_seconds if self._late else 0.0
            self._remove(len(self._audio))

    def snapshot(self) -> QueuedAudio:
        """Return what the queue has."""
        marks = [(0, name) for name in self._reached]
        marks += [(self._index(mark.position), mark.name) for mark in self._marks]
        return QueuedAudio(bytes(self._audio), tuple(marks), self._dropped_bytes)

    def marks(self) -> QueuedAudio:
        """Return the marks that are not reported yet, as those of a queue without audio."""
        names = (*self._reached, *(mark.name for mark in self._marks))
        return QueuedAudio(b"", tuple((0, name) for name in names), self._dropped_bytes)

    def restore(self, queued: QueuedAudio) -> None:
        """Go on, empty until now, with what another queue had."""
        self._audio += queued.audio
        self._marks.extend(_Mark(self._start + before, name) for before, name in queued.marks)
        self._dropped_bytes = queued.dropped_bytes

    @property
    def _is_last(self) -> bool:
        """Whether nothing is expected to continue what is buffered."""
        return self._waited >= _LATE_FRAMES or self._pulls > _PAUSE_FRAMES

    def _reach(self) -> None:
        while self._marks and self._marks[0].position <= self._start:
            self._reached.append(self._marks.popleft().name)

    def _remove(self, count: int) -> None:
        """Remove bytes from the front, and the gaps that lie between them."""
        self._start = self._position(count) if self._gaps else self._start + count
        while self._gaps and self._gaps[0].position < self._start:
            self._gaps.popleft()
        del self._audio[:count]

    def _cut(self, index: int, size: int) -> None:
        """Drop bytes from the middle or the end, and remember the gap."""
        begin, end = self._position(index), self._position(index + size)
        gaps = [gap for gap in self._gaps if not begin <= gap.position < end]
        before = next((gap for gap in gaps if gap.position + gap.size == begin), None)
        if before is not None:
            gaps.remove(before)
            begin = before.position
        self._gaps = deque(sorted([*gaps, _Gap(begin, end - begin)]))
        del self._audio[index : index + size]

    def _position(self, index: int) -> int:
        """Return the stream position of a byte of `_audio`."""
        position = self._start + index
        for gap in self._gaps:
            if gap.position > position:
                break
            position += gap.size
        return position

    def _index(self, position: int) -> int:
        """Return how many bytes of `_audio` come before a position."""
        before = (min(gap.size, max(0, position - gap.position)) for gap in self._gaps)
        return max(0, position - self._start - sum(before))

    def _wait(self) -> None:
        """Count one more frame of delay if speech is held."""
        if self._late or silent_frames(self._audio) * FRAME_BYTES + FRAME_BYTES <= len(self._audio):
            self._late += 1
            self.held_seconds += FRAME_SECONDS

    def _keep_held(self) -> None:
        """Enforce the capacity of a held queue."""
        if not self._late:
            kept = BEFORE_FRAMES + max(0, AFTER_FRAMES - self._pause)
            if (leading := silent_frames(self._audio) - kept) > 0:
                self._remove(leading * FRAME_BYTES)
        room = round(HELD_SECONDS * _SECOND_BYTES)
        if len(self._audio) <= room:
            return
        for index, size in long_pauses(self._audio, self._squeezed):
            self._cut(index, size)
        whole = len(self._audio) // FRAME_BYTES - PAUSE_FRAMES
        self._squeezed = max(0, whole) * FRAME_BYTES
        if (excess := len(self._audio) - room) > 0:
            self._cut(room, excess)
            self.held_dropped_seconds += excess / _SECOND_BYTES

    def _shorten_pause(self) -> None:
        """Skip the part of the next pause that exceeds 100 ms, as far as the delay allows."""
        self._late = min(self._late, len(self._audio) // FRAME_BYTES)
        kept = max(0, PAUSE_FRAMES - self._pause)
        if self._late > BEFORE_FRAMES:
            kept = max(kept, BEFORE_FRAMES)
        skipped = min(self._late, silent_frames(self._audio) - kept)
        if skipped > 0:
            self._remove(skipped * FRAME_BYTES)
            self._late -= skipped


class Watermarks:
    """Flow control of a queue: senders pause at the high watermark, resume at the low one."""

    __slots__ = ("full",)

    def __init__(self) -> None:
        self.full = False
        """Whether senders should pause."""

    def crossed(self, buffered_seconds: float) -> bool:
        """Update with the buffered amount; return whether `full` changed."""
        limit = RESUME_SECONDS if self.full else PAUSE_SECONDS
        full = buffered_seconds > limit if self.full else buffered_seconds >= limit
        changed = full is not self.full
        self.full = full
        return changed
