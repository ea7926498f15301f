"""The outcome of each check, kept for docs/compatibility.md where the environment asks for it."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.stacks.caller import NotOffered

VARIABLE = "COMPATIBILITY_RESULTS"
"""Names the folder that takes the outcomes."""
PAGE_DATA = Path(__file__).parents[1] / "docs" / "compatibility.json"

FAILS = {
    ("werift", "ice_restart"): (
        "it sends no checks after a restart and waits for those of the bridge, which sends none to "
        "private addresses without `rtc.probe_private`"
    ),
    ("aiortc", "lines_bundled"): (
        "with `max-bundle` it connects only where the sound comes last and no data line is offered"
    ),
    ("aiortc", "lines_separate"): (
        "it does not connect where a rejected video line comes before the sound"
    ),
}
"""What does not work, by client and check, and why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a check of a client."""

    client: str
    check: str
    result: Literal["works", "not offered", "fails"]
    reason: str = ""
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """The client and the check."""
        return self.client, self.check


def not_offered(client: str, check: str, error: NotOffered) -> Outcome:
    """Describe what a client cannot do."""
    return Outcome(client, check, "not offered", str(error))


def failed(client: str, check: str) -> Outcome | None:
    """Describe what is known not to work; None of what should."""
    reason = FAILS.get((client, check))
    return Outcome(client, check, "fails", reason) if reason else None


def keep(outcome: Outcome) -> None:
    """Write an outcome for the page, if it is asked for."""
    if folder := os.environ.get(VARIABLE):
        name = f"{outcome.client}.{outcome.check}.json"
        (Path(folder) / name).write_text(json.dumps(asdict(outcome)))


def keep_version(client: str, version: str) -> None:
    """Write a client's version for the page, if it is asked for."""
    if folder := os.environ.get(VARIABLE):
        (Path(folder) / f"{client}.version").write_text(version)


def published() -> dict[tuple[str, str], Any]:
    """Return what the page says, by client and check."""
    rows = json.loads(PAGE_DATA.read_text())["outcomes"]
    return {(row["client"], row["check"]): row for row in rows}


def judge(outcome: Outcome) -> None:
    """Keep an outcome for the page, or compare it with the page."""
    if outcome.result != "fails":
        assert outcome.key not in FAILS, "it works now: take it out of FAILS"
    if VARIABLE in os.environ:
        keep(outcome)
        return
    said = published()[outcome.key]
    assert outcome.result == said["result"], "run `make compatibility`"
