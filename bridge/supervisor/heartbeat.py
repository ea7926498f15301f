"""Heartbeats of a node: when there are too few."""

from typing import Final

MAX_MISSED: Final = 10
"""Consecutive checks without a heartbeat; load delays a loop by less than one interval."""
MAX_MISSED_AT_START: Final = 60
"""The same before the first heartbeat, while libraries are loaded and files are opened."""


class Heartbeat:
    """Detects a stuck node; checked every `wire.supervision.BEAT_SECONDS`.

    Checks are counted, not seconds, so that a suspended machine is not mistaken for a stuck node.
    """

    def __init__(self) -> None:
        self._missed = 0
        self._limit = MAX_MISSED_AT_START

    def check(self, *, beaten: bool) -> bool:
        """Count a check; `beaten` tells whether there was a beat since. Return whether it is stuck."""
        self._missed = 0 if beaten else self._missed + 1
        self._limit = MAX_MISSED if beaten else self._limit
        return self._missed >= self._limit
