"""How many calls a node takes, and how many legs a call."""

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.call.model import LineName
from bridge.call.quota import Quota
from bridge.errors import LimitExceeded

LEGS_PER_CALL = 16


@dataclass(frozen=True, slots=True)
class ManagerLimits:
    """How many calls there may be, and how many ended ones are kept for how long."""

    calls: int
    calls_per_line: int
    kept_seconds: float
    ended_per_line: int = 5000
    ended_octets_per_line: int = 64_000_000
    """Approximate memory for them, with their metadata and quality timelines."""
    lines: int = 1
    """How many lines are configured."""

    @property
    def quota(self) -> Quota:
        """Each line's share of the calls."""
        return Quota(
            "calls",
            "limits.calls",
            self.calls,
            self.calls_per_line,
            self.lines,
            line_setting="limits.calls_per_line",
        )


def check_capacity(limits: ManagerLimits, line: LineName, live: Iterable[LineName]) -> None:
    """Check that a line may have one more call; `live` has the line of each live call.

    Raises:
        LimitExceeded: with the limit that is reached.
    """
    lines = list(live)
    limits.quota.check(of_line=lines.count(line), of_all=len(lines))


def check_room(legs: int) -> None:
    """Check that a call with this many legs may have one more.

    Raises:
        LimitExceeded: it may not.
    """
    if legs >= LEGS_PER_CALL:
        raise LimitExceeded(f"the call has {LEGS_PER_CALL} legs already")
