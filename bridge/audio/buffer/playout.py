"""The adaptive playout buffer between one timed source and a consumer on the 20 ms clock.

Every frame has a position on one continuous timeline. *Transit* is its arrival time minus its
position; the minimum of the last second is the base, and the *delay* of a frame is how much later
than base it is played. The target delay covers 95 % of the recent transits plus 5 ms. Playout starts
with the first frame and grows to the target by time stretching, never by a gap; once arrivals have
been steady for a second it shrinks by compression.
"""

import math
from collections import deque
from typing import Final

from bridge.audio.buffer.splice import CONCEALED_FRAMES, Concealment, lengthen, shorten
from bridge.audio.detect.level import level
from bridge.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, SAMPLE_RATE, SILENCE, Frame

_WINDOW_SECONDS: Final = 1.0
"""Window of the transit statistics."""
_WINDOW_FRAMES: Final = 100
_MEASURED_EVERY: Final = 5
"""Arrivals within the known spread are measured in batches of this size."""
_PERCENTILE: Final = 0.95
_MARGIN: Final = 0.005
_SLACK: Final = 0.002
"""Tolerated error of the delay; keeps corrections from alternating."""
_CORRECTION_INTERVAL: Final = 0.2
"""Minimum seconds between two corrections, except in quiet audio."""
_RETURN_SECONDS: Final = 1.8
"""After a gap the delay is back at its target within this time, if arrivals are steady."""
_QUIET: Final = -45.0
"""dBov below which a frame can be dropped or repeated inaudibly."""
_JUMP: Final = 1.0
"""A transit that jumps by more seconds than this is a restarted source, not delay."""
_CLOCK_SHARE: Final = 0.02
_CLOCK_JUMP: Final = 0.1


class Playout:
    """Buffers the frames of one source until the clock pulls them.

    Its capacity is `maximum` seconds plus three frames; beyond that the oldest are dropped.
    """

    def __init__(self, *, minimum: float = 0.020, maximum: float = 0.120) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._capacity = math.ceil(maximum / FRAME_SECONDS - 1e-9) + 3
        self._queue: deque[tuple[int, Frame]] = deque()

        # Position on the continuous timeline, in samples.
        self._epoch: object = None
        self._offset = 0
        self._end: int | None = None
        self._last_arrival = 0.0
        self._last_transit = 0.0

        # Transit statistics and the target derived from them.
        self._arrivals: deque[tuple[float, float]] = deque(maxlen=_WINDOW_FRAMES)
        self._unmeasured = 0
        self._base = 0.0
        self._spread = 0.0
        self._target = minimum
        self._held = minimum

        # Playback state.
        self._next: int | None = None
        self._tick: float | None = None
        self._delay = 0.0
        self._corrected = -math.inf
        self._gap_at = -math.inf
        self._before = SILENCE
        self._last = SILENCE
        self._filled = 0
        self._concealment: Concealment | None = None

        self.late = 0
        """Frames dropped as duplicates, or because a later one had been played."""
        self.dropped = 0
        """Frames dropped because the buffer was full."""
        self.concealed = 0
        """Concealment frames played in place of missing ones."""
        self.inserted = 0
        """Frames inserted to increase the delay."""
        self.removed = 0
        """Frames merged with their neighbour to reduce the delay."""

    @property
    def delay_seconds(self) -> float:
        """The delay of the last frame played, 0 while the source is inactive."""
        return self._delay

    def push(self, frame: Frame, now: float) -> None:
        """Add a frame that has just arrived."""
        position = self._position_of(frame, now)
        self._last_arrival = now
        self._last_transit = transit = now - position / SAMPLE_RATE
        self._arrivals.append((now, transit))
        # A transit outside the known spread is measured at once.
        usual = 0.0 <= transit - self._base <= self._spread
        self._unmeasured += 1 if usual else _MEASURED_EVERY
        if self._next is not None and position < self._next:
            self.late += 1
            return
        if not self._queue or position > self._queue[-1][0]:
            self._queue.append((position, frame))
        elif not self._insert(position, frame):
            return
        if len(self._queue) > self._capacity:
            self._queue.popleft()
            self.dropped += 1

    def pull(self, now: float) -> bytes | None:
        """Return the next 640 bytes, called every 20 ms; None while the source is inactive."""
        tick = self._nominal(now)
        if not self._queue:
            return self._fill()
        if self._unmeasured >= _MEASURED_EVERY:
            self._measure()
        position, frame = self._queue[0]
        delay = tick - self._base - position / SAMPLE_RATE
        short = delay < self._target - _SLACK
        if self._follows_gap(position):
            # Waiting is free in a gap, so wait until the delay has reached its target.
            return self._fill() if short else self._resume(tick, delay)
        if self._filled or self._next is None:
            return self._resume(tick, delay)
        if short and (self._correction_due(tick) or _quiet(self._last, frame.pcm)):
            self.inserted += 1
            self._corrected = tick
            return self._output(lengthen(self._last, frame.pcm))
        if delay - self._held - _SLACK > FRAME_SECONDS:
            return self._play_shortened(tick, delay)
        return self._play(delay)

    def held(self) -> list[Frame]:
        """Return the frames not yet played, in order."""
        return [frame for _, frame in self._queue]

    def _position_of(self, frame: Frame, now: float) -> int:
        """Map a frame to the continuous timeline that spans all media epochs of the source."""
        position = frame.pts + self._offset
        if self._end is not None:
            transit = now - position / SAMPLE_RATE
            restarted = abs(transit - self._last_transit) > _JUMP
            if frame.epoch != self._epoch or restarted:
                elapsed = round((now - self._last_arrival) * SAMPLE_RATE)
                position = self._end + max(0, elapsed - FRAME_SAMPLES)
                self._offset = position - frame.pts
        self._epoch = frame.epoch
        self._end = max(position + FRAME_SAMPLES, self._end or position)
        return position

    def _insert(self, position: int, frame: Frame) -> bool:
        """Insert a reordered frame; return False for a duplicate."""
        index = len(self._queue)
        while index and self._queue[index - 1][0] >= position:
            index -= 1
        if self._queue[index][0] == position:
            self.late += 1
            return False
        self._queue.insert(index, (position, frame))
        return True

    def _measure(self) -> None:
        """Derive the target delay from the recent transits."""
        self._unmeasured = 0
        arrivals = self._arrivals
        oldest = arrivals[-1][0] - _WINDOW_SECONDS
        while arrivals[0][0] < oldest:
            arrivals.popleft()
        transits = sorted([transit for _, transit in arrivals])
        self._base = transits[0]
        index = min(len(transits) - 1, int(len(transits) * _PERCENTILE))
        self._spread = spread = transits[index] - self._base
        self._target = min(max(spread + _MARGIN, self._minimum), self._maximum)
        # The peak of the window counts until it has left the window.
        self._held = max(self._target, min(transits[-1] - self._base, self._maximum))

    def _nominal(self, now: float) -> float:
        """Return when this tick was due; ticks may be late, never early."""
        if self._tick is None:
            self._tick = now
            return now
        due = self._tick + FRAME_SECONDS
        error = now - due
        if 0.0 < error <= _CLOCK_JUMP:
            self._tick = due + error * _CLOCK_SHARE
        else:
            self._tick = now
        return self._tick

    def _follows_gap(self, position: int) -> bool:
        """Return whether there is a gap between the audio played last and `position`."""
        if self._next is None:
            return False
        return self._filled > CONCEALED_FRAMES or position - self._next >= FRAME_SAMPLES

    def _correction_due(self, tick: float) -> bool:
        """Return whether audio that is not quiet may be corrected again."""
        return tick - self._corrected >= _CORRECTION_INTERVAL - _SLACK

    def _return_due(self, tick: float, delay: float) -> bool:
        """Return whether shortening must begin now to end within `_RETURN_SECONDS`."""
        corrections = int((delay - self._held - _SLACK) / FRAME_SECONDS)
        return tick - self._gap_at >= _RETURN_SECONDS - (corrections - 1) * _CORRECTION_INTERVAL

    def _play_shortened(self, tick: float, delay: float) -> bytes:
        """Merge the first two frames into one if that is possible now."""
        if len(self._queue) < 2 or self._queue[1][0] - self._queue[0][0] >= 2 * FRAME_SAMPLES:
            return self._play(delay)
        first, second = self._queue[0][1].pcm, self._queue[1][1].pcm
        due = self._correction_due(tick) and self._return_due(tick, delay)
        if not due and not _quiet(first, second):
            return self._play(delay)
        self._queue.popleft()
        position, _ = self._queue.popleft()
        self.removed += 1
        self._corrected = tick
        self._delay = delay - FRAME_SECONDS
        self._next = position + FRAME_SAMPLES
        return self._output(shorten(first, second))

    def _play(self, delay: float) -> bytes:
        position, frame = self._queue.popleft()
        self._next = position + FRAME_SAMPLES
        self._delay = delay
        return self._output(frame.pcm)

    def _resume(self, tick: float, delay: float) -> bytes:
        """Play the first frame, or the first after a gap or a jump."""
        first = self._next is None
        concealed, self._filled = self._filled, 0
        concealment = self._concealment or Concealment(self._before + self._last)
        self._concealment = None
        pcm = self._play(delay)
        if not first:
            self._corrected = self._gap_at = tick
            self._last = pcm = concealment.blend(pcm, concealed)
        return pcm

    def _fill(self) -> bytes | None:
        """Conceal a missing frame: fading audio for 60 ms, then silence."""
        if self._next is None:
            return None
        if self._filled == 0:
            self._concealment = Concealment(self._before + self._last)
        self._filled += 1
        if self._filled > CONCEALED_FRAMES or self._concealment is None:
            self._delay = 0.0
            self._before = self._last = SILENCE
            return None
        self.concealed += 1
        return self._concealment.frame(self._filled)

    def _output(self, pcm: bytes) -> bytes:
        self._before = self._last
        self._last = pcm
        return pcm


def _quiet(first: bytes, second: bytes) -> bool:
    return level(first) < _QUIET and level(second) < _QUIET
