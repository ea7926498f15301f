"""What one party hears while its node is killed: packets by time and number, before anything is checked."""

from array import array
from bisect import bisect_left
from itertools import pairwise

import numpy as np

GCM_INDEX_BYTES = 4
_WRAP = 1 << 16
_HALF = _WRAP >> 1


class Heard:
    """The packets and reports of one SRTP session."""

    def __init__(self) -> None:
        self.times = array("d")
        """When each packet came (monotonic seconds)."""
        self._numbers = array("Q")
        """SSRC, then sequence number with its roll-overs."""
        self._reports = array("Q")
        """SSRC, then index."""
        self._newest: dict[int, int] = {}

    def note(self, data: bytes, now: float) -> None:
        """Note a protected packet or report."""
        if 192 <= data[1] <= 223:
            index = int.from_bytes(data[-GCM_INDEX_BYTES:], "big") & 0x7FFF_FFFF
            self._reports.append(int.from_bytes(data[4:8], "big") << 32 | index)
            return
        self.times.append(now)
        number, ssrc = int.from_bytes(data[2:4], "big"), int.from_bytes(data[8:12], "big")
        newest = self._newest.get(ssrc, number + _WRAP)
        ahead = (number - newest + _HALF) % _WRAP - _HALF
        self._newest[ssrc] = max(newest, newest + ahead)
        self._numbers.append(ssrc << 32 | newest + ahead)

    def twice(self) -> int:
        """Return how many packets and reports had a number that another one had."""
        return sum(len(one) - len(np.unique(np.frombuffer(one, np.uint64))) for one in self._both())

    def since(self, moment: float) -> int:
        """Return how many packets have come since."""
        return len(self.times) - bisect_left(self.times, moment)

    def silence(self, begin: float, end: float) -> float:
        """Return the longest time between two packets from one moment to another, in seconds.

        The last packet before it counts, and silence that lasts ends with the second moment.
        """
        first = max(0, bisect_left(self.times, begin) - 1)
        times = [*self.times[first : bisect_left(self.times, end)], end]
        return max((later - one for one, later in pairwise(times)), default=end - begin)

    def _both(self) -> list["array[int]"]:
        return [one for one in (self._numbers, self._reports) if one]
