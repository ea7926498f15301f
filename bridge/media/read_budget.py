"""How much a stream's server may have the bridge read, so that it cannot take the event loop from other calls."""

from typing import Final

UNITS_PER_SECOND: Final = 1000.0
"""What is read in the long run. A message of 20 ms costs a unit, and about 0.1 ms of a core; this is 20 s of audio a second."""
BURST_SECONDS: Final = 2.0
"""What may come at once is what is read in this time; then reading is slowed down."""
UNIT_BYTES: Final = 8192
"""A long message costs a unit more for each."""
TURN_UNITS: Final = 20.0
"""What is read before other tasks get their turn."""
FLOOD_SECONDS: Final = 10.0
"""How long a server may send more than is read, before its connection is dropped."""


class ReadBudget:
    """A token bucket. What is not read yet waits in the kernel, and TCP's flow control throttles the sender."""

    def __init__(self, now: float) -> None:
        """Begin with a full bucket."""
        self._units = UNITS_PER_SECOND * BURST_SECONDS
        self._at = now
        self._turn = 0.0
        self._short_since: float | None = None

    def spend(self, size: int, now: float) -> float | None:
        """Count a message of so many bytes; return how long to wait before the next one is read.

        0 only yields to other tasks; None: there is no need to wait.
        """
        cost = 1 + size // UNIT_BYTES
        full = UNITS_PER_SECOND * BURST_SECONDS
        self._units = min(full, self._units + (now - self._at) * UNITS_PER_SECOND) - cost
        self._at = now
        if self._units > full / 2:
            self._short_since = None
        self._turn += cost
        if self._turn < TURN_UNITS:
            return None
        self._turn = 0.0
        if self._units >= 0:
            return 0.0
        if self._short_since is None:
            self._short_since = now
        return (TURN_UNITS - self._units) / UNITS_PER_SECOND

    @property
    def is_short(self) -> bool:
        """Whether the server is being throttled, or was a moment ago."""
        return self._short_since is not None

    def is_flood(self, now: float) -> bool:
        """Whether the server has sent more than is read for `FLOOD_SECONDS`."""
        return self._short_since is not None and now - self._short_since >= FLOOD_SECONDS
