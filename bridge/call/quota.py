"""How much of a shared resource one line may take, so that no line takes everything.

Where the operator set no limit for a line and two or more lines are configured, the last fifth is
reserved for lines that have less than an equal part of that fifth.
"""

from dataclasses import dataclass
from typing import Final

from bridge.errors import LimitExceeded

RESERVED_PARTS: Final = 5
"""One part in so many is reserved."""


@dataclass(frozen=True, slots=True)
class Quota:
    """A limited number of equal things."""

    things: str
    """Their name, in the plural."""
    setting: str
    """The setting with their number."""
    total: int
    per_line: int = 0
    """How many a line may have; 0 = a fair share."""
    lines: int = 1
    """Lines configured."""
    line_setting: str = ""
    """The setting of `per_line`; empty where there is none."""

    def check(self, *, of_line: int, of_all: int) -> None:
        """Check that a line that has `of_line` of the `of_all` in use may take one more.

        Raises:
            LimitExceeded: with `limit` `calls` where none is left, `line` at the line's own limit,
                `share` where the rest is reserved for others.
        """
        if of_all >= self.total:
            raise LimitExceeded(
                f"the bridge has reached its limit of {self.total} {self.things} ({self.setting})",
                limit="calls",
            )
        if self.per_line:
            if of_line >= self.per_line:
                raise LimitExceeded(
                    f"the line has reached its limit of {self.things} ({self.line_setting})",
                    limit="line",
                )
            return
        reserved = self.total // RESERVED_PARTS if self.lines > 1 else 0
        if of_all >= self.total - reserved and of_line >= max(1, reserved // self.lines):
            raise LimitExceeded(
                f"the last {reserved} of the {self.total} {self.things} are reserved for lines that have "
                f"fewer ({self.line_setting or self.setting})",
                limit="share",
            )
