"""How fast audio arrives, compared with how fast it is played."""

import math
from collections import deque
from typing import Final

PAUSE_SECONDS: Final = 0.5
"""After which what arrives begins anew."""
MIN_SECONDS: Final = 1.5
"""Less of audio that arrives without a pause has no pace."""
MIN_MESSAGES: Final = 12
MAX_DRIFT: Final = 0.06
"""By so much the two halves of a run may differ: a sender with a clock is steadier, one that sends what it has is not."""
_KEPT_SECONDS: Final = 0.1
_ROWS: Final = round(2 * MIN_SECONDS / _KEPT_SECONDS)


class ArrivalPace:
    """Measures one sender whose messages have a length in seconds; `now` is monotonic."""

    def __init__(self) -> None:
        self.ratio: float | None = None
        """Seconds of audio that arrive in a second, as of a sender with a clock; None while it has none."""
        self.run_seconds = 0.0
        """For how long it has sent without a pause."""
        self._arrived = 0.0
        self._messages = 0
        self._began = self._last = -math.inf
        self._rows: deque[tuple[float, float]] = deque(maxlen=_ROWS)

    def note(self, seconds: float, now: float) -> None:
        """Take a message."""
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
        """Whether something has come lately."""
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
