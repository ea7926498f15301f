"""One target of the bench, and whether it was reached."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target."""

    what: str
    target: str
    measured: str
    met: bool
    aim: str = ""
    """How it stands with what is aimed at beyond; empty when nothing is."""
    busy: bool = False
    """Whether it is not judged, because the machine was busy meanwhile."""

    @property
    def missed(self) -> bool:
        """Whether it was judged, and not reached."""
        return not self.met and not self.busy


def judged(found: Iterable[Verdict], *, busy: bool, difference: bool = False) -> Iterator[Verdict]:
    """Pass verdicts on, but not what a busy machine missed; it makes no figure better, but a `difference` of two may be."""
    for one in found:
        yield replace(one, busy=True) if busy and (difference or not one.met) else one


def outcome(found: Sequence[Verdict]) -> str:
    """Say of like targets whether they were met; what was not judged does not count."""
    if all(one.busy for one in found):
        return "not judged"
    return "**missed**" if any(one.missed for one in found) else "met"


def at_most(what: str, limit: float, value: float) -> Verdict:
    """Check a time."""
    return Verdict(what, f"<= {1000 * limit:.0f} ms", f"{1000 * value:.1f} ms", value <= limit)
