"""How much one line may have of what all lines share, so that no line takes everything.

Where the operator set no limit for a line and two or more lines are configured, the last fifth is kept for
lines that have none, or less than an equal part of that fifth.
"""

from dataclasses import dataclass

from bridge.errors import LimitExceeded

KEPT_PARTS = 5


@dataclass(frozen=True, slots=True)
class Shares:
    """A number of equal things that lines take and give back."""

    things: str
    """What they are, in the plural."""
    setting: str
    """The setting that says how many there are."""
    total: int
    per_line: int = 0
    """How many a line may have; 0 = a fair share."""
    lines: int = 1
    """How many lines are configured."""
    own_setting: str = ""
    """The setting of a line's own limit; empty where there is none."""

    def check(self, *, of_line: int, of_all: int) -> None:
        """See whether a line may have one more.

        Args:
            of_line: how many the line has.
            of_all: how many all lines have, this one included.

        Raises:
            LimitExceeded: with `limit` `calls` where there is none left, `line` where the line has its own
                limit's, `share` where the rest is kept for others.
        """
        if of_all >= self.total:
            raise LimitExceeded(
                f"the bridge has its {self.total} {self.things} ({self.setting})", limit="calls"
            )
        if self.per_line:
            if of_line >= self.per_line:
                raise LimitExceeded(
                    f"the line has all its {self.things} ({self.own_setting})", limit="line"
                )
            return
        kept = self.total // KEPT_PARTS if self.lines > 1 else 0
        if of_all >= self.total - kept and of_line >= max(1, kept // self.lines):
            raise LimitExceeded(
                f"the last {kept} of the {self.total} {self.things} are kept for lines that have "
                f"fewer ({self.own_setting or self.setting})",
                limit="share",
            )
