"""The adaptive playout buffer between one timed source and a consumer on the 20 ms clock.

Every frame has a place on one continuous timeline. *Transit* is its arrival minus its place; the
least transit of the last second is what the network needs at best, and the *delay* of a frame is
how much later than that it is played. The delay aimed at covers 95 % of the recent transits and
5 ms. The buffer starts with the frame that is there and grows to that aim by lengthening, never by
a hole; when arrivals have been calm for a second it comes back by shortening.
"""

import math
from collections import deque
from typing import Final

from bridge.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, SAMPLE_RATE, SILENCE, Frame
from bridge.audio.level import level
from bridge.audio.splice import CONCEALED_FRAMES, Concealment, lengthen, shorten

_MEMORY_SECONDS: Final = 1.0
"""How far back arrivals are looked at: after this long a bad spell is forgotten."""
_MEMORY_FRAMES: Final = 100
_MEASURED_EVERY: Final = 5
"""So many arrivals that are within what was found last are looked at together."""
_SHARE: Final = 0.95
_MARGIN: Final = 0.005
_SLACK: Final = 0.002
"""How far the delay may be off before it is corrected; keeps two corrections from alternating."""
_PACE: Final = 0.2
"""Seconds between two corrections of sound that is not quiet."""
_RETURN_SECONDS: Final = 1.8
"""How long after a hole the delay has come back, when arrivals are calm again."""
_QUIET: Final = -45.0
"""dBov under which a frame can be left out or repeated unheard."""
_JUMP: Final = 1.0
"""A transit that changes by more seconds than this is no delay but a source that counts anew."""
_CLOCK_SHARE: Final = 0.02
_CLOCK_JUMP: Final = 0.1


class Playout:
    """Holds the frames of one source until the clock takes them.

    It holds at most `maximum` and three frames; beyond that the oldest go and are counted.
    """

    def __init__(self, *, minimum: float = 0.020, maximum: float = 0.120) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._capacity = math.ceil(maximum / FRAME_SECONDS - 1e-9) + 3
        self._queue: deque[tuple[int, Frame]] = deque()

        # Where frames lie on the continuous timeline, in samples.
        self._timeline: object = None
        self._offset = 0
        self._end: int | None = None
        self._last_arrival = 0.0
        self._last_transit = 0.0

        # What arrivals were like, and what follows from it.
        self._arrivals: deque[tuple[float, float]] = deque(maxlen=_MEMORY_FRAMES)
        self._unmeasured = 0
        self._base = 0.0
        self._spread = 0.0
        self._wanted = minimum
        self._held = minimum

        # What was played.
        self._next: int | None = None
        self._tick: float | None = None
        self._delay = 0.0
        self._corrected = -math.inf
        self._hole = -math.inf
        self._before = SILENCE
        self._last = SILENCE
        self._filled = 0
        self._concealment: Concealment | None = None

        self.late = 0
        """Frames that came twice, or after a later one had been played; not played."""
        self.dropped = 0
        """Frames that were too many to keep; not played."""
        self.concealed = 0
        """Frames made up because none was there."""
        self.inserted = 0
        """Frames made up to lengthen the delay."""
        self.removed = 0
        """Frames left out, or melted with their neighbour, to shorten the delay."""

    @property
    def delay_seconds(self) -> float:
        """The delay of the last frame played, 0 while the source gives nothing."""
        return self._delay

    @property
    def target_seconds(self) -> float:
        """The delay aimed at, from `minimum` to `maximum`."""
        if self._unmeasured:
            self._measure()
        return self._wanted

    def push(self, frame: Frame, now: float) -> None:
        """Take a frame as it arrives."""
        position = self._place(frame, now)
        self._last_arrival = now
        self._last_transit = transit = now - position / SAMPLE_RATE
        self._arrivals.append((now, transit))
        # What asks for more delay, or less transit than was known, counts at once.
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
        """Give the next 640 bytes, called once every 20 ms; None while the source gives nothing."""
        tick = self._nominal(now)
        if not self._queue:
            return self._fill()
        if self._unmeasured >= _MEASURED_EVERY:
            self._measure()
        position, frame = self._queue[0]
        delay = tick - self._base - position / SAMPLE_RATE
        short = delay < self._wanted - _SLACK
        if self._breaks_before(position):
            # In a gap time costs nothing: it is waited until the delay is the wanted one.
            return self._fill() if short else self._resume(tick, delay)
        if self._filled or self._next is None:
            return self._resume(tick, delay)
        if short and (self._paced(tick) or _quiet(self._last, frame.pcm)):
            self.inserted += 1
            self._corrected = tick
            return self._give(lengthen(self._last, frame.pcm))
        if delay - self._held - _SLACK > FRAME_SECONDS:
            return self._shortened(tick, delay)
        return self._play(delay)

    def held(self) -> list[Frame]:
        """The frames not yet played, in order, each with its own timestamp."""
        return [frame for _, frame in self._queue]

    def _place(self, frame: Frame, now: float) -> int:
        """Find the frame's place on the timeline that goes on through all those of the source."""
        position = frame.pts + self._offset
        if self._end is not None:
            transit = now - position / SAMPLE_RATE
            anew = abs(transit - self._last_transit) > _JUMP
            if frame.timeline != self._timeline or anew:
                elapsed = round((now - self._last_arrival) * SAMPLE_RATE)
                position = self._end + max(0, elapsed - FRAME_SAMPLES)
                self._offset = position - frame.pts
        self._timeline = frame.timeline
        self._end = max(position + FRAME_SAMPLES, self._end or position)
        return position

    def _insert(self, position: int, frame: Frame) -> bool:
        """Put a frame that was overtaken where it belongs; False when it is there already."""
        index = len(self._queue)
        while index and self._queue[index - 1][0] >= position:
            index -= 1
        if self._queue[index][0] == position:
            self.late += 1
            return False
        self._queue.insert(index, (position, frame))
        return True

    def _measure(self) -> None:
        """Derive from the recent arrivals what delay is needed."""
        self._unmeasured = 0
        arrivals = self._arrivals
        oldest = arrivals[-1][0] - _MEMORY_SECONDS
        while arrivals[0][0] < oldest:
            arrivals.popleft()
        transits = sorted([transit for _, transit in arrivals])
        self._base = transits[0]
        place = min(len(transits) - 1, int(len(transits) * _SHARE))
        self._spread = spread = transits[place] - self._base
        self._wanted = min(max(spread + _MARGIN, self._minimum), self._maximum)
        # What was needed once within the second is kept until the second is over.
        self._held = max(self._wanted, min(transits[-1] - self._base, self._maximum))

    def _nominal(self, now: float) -> float:
        """Return when this tick was due: ticks come late by chance, and early never."""
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

    def _breaks_before(self, position: int) -> bool:
        """Whether the frame at `position` does not go on from what was played last."""
        if self._next is None:
            return False
        return self._filled > CONCEALED_FRAMES or position - self._next >= FRAME_SAMPLES

    def _paced(self, tick: float) -> bool:
        """Whether the last correction is long enough ago to correct sound that is not quiet."""
        return tick - self._corrected >= _PACE - _SLACK

    def _calm(self, tick: float, delay: float) -> bool:
        """Whether the last hole is as long ago as the shortening, to be done in time, can wait."""
        corrections = int((delay - self._held - _SLACK) / FRAME_SECONDS)
        return tick - self._hole >= _RETURN_SECONDS - (corrections - 1) * _PACE

    def _shortened(self, tick: float, delay: float) -> bytes:
        """Play the first two frames in the time of one, if that can be done now."""
        if len(self._queue) < 2 or self._breaks_between():
            return self._play(delay)
        first, second = self._queue[0][1].pcm, self._queue[1][1].pcm
        if not (self._paced(tick) and self._calm(tick, delay)) and not _quiet(first, second):
            return self._play(delay)
        self._queue.popleft()
        position, _ = self._queue.popleft()
        self.removed += 1
        self._corrected = tick
        self._delay = delay - FRAME_SECONDS
        self._next = position + FRAME_SAMPLES
        return self._give(shorten(first, second))

    def _breaks_between(self) -> bool:
        return self._queue[1][0] - self._queue[0][0] >= 2 * FRAME_SAMPLES

    def _play(self, delay: float) -> bytes:
        position, frame = self._queue.popleft()
        self._next = position + FRAME_SAMPLES
        self._delay = delay
        return self._give(frame.pcm)

    def _resume(self, tick: float, delay: float) -> bytes:
        """Play the first frame of all, or the first after a hole or a jump."""
        first = self._next is None
        made_up, self._filled = self._filled, 0
        concealment = self._concealment or Concealment(self._before + self._last)
        self._concealment = None
        pcm = self._play(delay)
        if not first:
            self._corrected = self._hole = tick
            self._last = pcm = concealment.blend(pcm, made_up)
        return pcm

    def _fill(self) -> bytes | None:
        """Stand in for a frame that is not there: for 60 ms with sound, then with silence."""
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

    def _give(self, pcm: bytes) -> bytes:
        self._before = self._last
        self._last = pcm
        return pcm


def _quiet(first: bytes, second: bytes) -> bool:
    return level(first) < _QUIET and level(second) < _QUIET
