"""How fast audio arrives, compared with how fast it is played."""

import math
from collections import deque
from typing import Final

PAUSE_SECONDS: Final = 0.5
"""A gap of this length starts a new run."""
MIN_SECONDS: Final = 1.5
"""Shorter runs are not measured."""
MIN_MESSAGES: Final = 12
MAX_DRIFT: Final = 0.06
"""By how much the rates of the two halves of a run may differ. A sender with a clock varies less, one that sends as fast as it can varies more."""
_KEPT_SECONDS: Final = 0.1
_ROWS: Final = round(2 * MIN_SECONDS / _KEPT_SECONDS)


class ArrivalPace:
    """Measures the rate of one sender from the duration of its messages; `now` is monotonic."""

    def __init__(self) -> None:
        self.ratio: float | None = None
        """Seconds of audio that arrive per second; None unless the sender is paced by a clock."""
        self.run_seconds = 0.0
        """How long it has been sending without a gap."""
        self._arrived = 0.0
        self._messages = 0
        self._began = self._last = -math.inf
        self._rows: deque[tuple[float, float]] = deque(maxlen=_ROWS)

    def note(self, seconds: float, now: float) -> None:
        """Record a message and its duration."""
        if now - self._last > PAUSE_SECONDS:
            self._rows.clear()
            self._began, self._arrived, self._messages = now, 0.0, 0
            self._rows.append((now, seconds))
            self.ratio = None
        self._arrived += seconds
        self._messages += 1
        self._last = now
        self.run_seconds = now - self._began
        if now - self._rows[-1][0] < _KEPT_SECONDS:
            return
        self._rows.append((now, self._arrived))
        self.ratio = self._measure()

    def is_current(self, now: float) -> bool:
        """Whether a message arrived recently."""
        return now - self._last <= 2 * PAUSE_SECONDS

    def _measure(self) -> float | None:
        rows = self._rows
        first, middle, last = rows[0], rows[len(rows) // 2], rows[-1]
        if last[0] - first[0] < MIN_SECONDS or self._messages < MIN_MESSAGES:
            return None
        ratio = (last[1] - first[1]) / (last[0] - first[0])
        halves = [
            (end[1] - begin[1]) / (end[0] - begin[0])
            for begin, end in ((first, middle), (middle, last))
        ]
        return ratio if max(halves) - min(halves) <= MAX_DRIFT * ratio else None
