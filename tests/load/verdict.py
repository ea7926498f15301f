"""One target of the bench, and whether it was reached."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target."""

    what: str
    target: str
    measured: str
    met: bool
    aim: str = ""
    """How it stands with what is aimed at beyond; empty when nothing is."""


def at_most(what: str, limit: float, value: float) -> Verdict:
    """Check a time."""
    return Verdict(what, f"<= {1000 * limit:.0f} ms", f"{1000 * value:.1f} ms", value <= limit)
