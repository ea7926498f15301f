"""The share of packets lost over the last seconds."""

import math
from collections import deque
from typing import Final

SHORT_SECONDS: Final = 4.0
LONG_SECONDS: Final = 20.0
_MIN_PACKETS: Final = 50
_DEVIATIONS: Final = 2.0
"""Of the number of lost packets, by which it is lowered."""
IN_BURSTS: Final = 3.0
"""The same for few seconds of packets that are lost in bursts."""


class Losses:
    """Received and lost packets of one direction; `now` is in monotonic seconds, and never goes back."""

    def __init__(self, *, short_deviations: float = _DEVIATIONS) -> None:
        """`short_deviations` lower the bound of `SHORT_SECONDS`."""
        self._deviations = {SHORT_SECONDS: short_deviations, LONG_SECONDS: _DEVIATIONS}
        self._rows: deque[tuple[float, int, int]] = deque()
        self.lossy = 0
        """Seconds with a loss: most often there are none, and `share` is 0."""

    def add(self, now: float, received: int, lost: int) -> None:
        """Add the packets since the last time; `lost` is negative when late ones have come after all."""
        rows = self._rows
        if received < 0:
            received = 0
        if lost:
            lost = max(lost, -received)
            if lost:
                self.lossy += 1
        rows.append((now, received, lost))
        while rows[0][0] <= now - LONG_SECONDS:
            if rows.popleft()[2]:
                self.lossy -= 1

    def share(self, now: float, seconds: float) -> tuple[float, float]:
        """Return the share of packets lost in the last seconds, and its lower bound.

        Both are 0 while there are too few packets to tell.
        """
        if not self.lossy:
            return 0.0, 0.0
        since = now - seconds
        received = lost = 0
        for at, came, missing in reversed(self._rows):
            if at <= since:
                break
            received += came
            lost += missing
        expected = received + lost
        if lost <= 0 or expected < _MIN_PACKETS:
            return 0.0, 0.0
        certain = max(0.0, lost - self._deviations[seconds] * math.sqrt(lost))
        return lost / expected, certain / expected
