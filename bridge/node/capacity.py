"""How many calls a node takes, and how many legs a call."""

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.call.model import LineName
from bridge.call.shares import Shares
from bridge.errors import LimitExceeded

LEGS_PER_CALL = 16


@dataclass(frozen=True, slots=True)
class ManagerLimits:
    """How many calls, and how many ended ones stay known, for how long."""

    calls: int
    calls_per_line: int
    kept_seconds: float
    ended_per_line: int = 5000
    ended_octets_per_line: int = 64_000_000
    """Memory that they may take, about: with their metadata and the timelines of their quality."""
    lines: int = 1
    """How many lines are configured."""

    @property
    def shares(self) -> Shares:
        """How the calls are shared out among the lines."""
        return Shares(
            "calls",
            "limits.calls",
            self.calls,
            self.calls_per_line,
            self.lines,
            own_setting="limits.calls_per_line",
        )


def check_capacity(limits: ManagerLimits, line: LineName, live: Iterable[LineName]) -> None:
    """See whether a line may have one more call.

    Args:
        limits: the limits.
        line: whose call it would be.
        live: the line of each live call.

    Raises:
        LimitExceeded: with the limit that is reached.
    """
    lines = list(live)
    limits.shares.check(of_line=lines.count(line), of_all=len(lines))


def check_room(legs: int) -> None:
    """See whether a call that has so many legs may have one more.

    Raises:
        LimitExceeded: it has all it may have.
    """
    if legs >= LEGS_PER_CALL:
        raise LimitExceeded(f"the call has {LEGS_PER_CALL} legs already")
