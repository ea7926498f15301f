"""When a node may declare others dead: decisions from what it has read, without a database or a clock.

After an outage of the database all leases have run out at once; a node that was paused sees the same. So only a
node with a clean lease of its own declares others dead, and none does so with more than half of them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bridge.cluster.timing import ClusterTiming
from bridge.stores.nodes import Lease, Member


class FailureDetector:
    """Whether a node may declare others dead: how long it has renewed its own lease, on any monotonic clock."""

    def __init__(self, timing: ClusterTiming) -> None:
        self._timing = timing
        self._since: float | None = None
        self._last = 0.0

    def renewed(self, now: float) -> None:
        """Note a heartbeat that the database has taken."""
        if self._since is None or now - self._last > self._timing.max_gap:
            self._since = now
        self._last = now

    def failed(self) -> None:
        """Note a heartbeat that it has not."""
        self._since = None

    def armed(self, now: float) -> bool:
        """Return whether this node may declare others dead: there was no gap for the length of a lease."""
        clean = self._since is not None and now - self._last <= self._timing.max_gap
        return clean and self._last - (self._since or 0.0) >= self._timing.lease


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done about suspects."""

    dead: Sequence[Member] = ()
    """They are to be declared dead."""
    refused: Sequence[Member] = ()
    """They look dead, but are too many: rather the database or the network is at fault."""


def suspects(found: Collection[Lease], *, own: Member, now: float) -> list[Member]:
    """Return the other nodes whose leases have run out; `now` is the database's time."""
    return [
        one.member
        for one in found
        if one.until is not None and one.until < now and one.member.boot != own.boot
    ]


def decide(
    found: Collection[Lease], suspected: Collection[Member], answering: Collection[str]
) -> Decision:
    """Return which suspects are dead, given the boot ids of those that answer all the same."""
    silent = [one for one in suspected if one.boot not in answering]
    if len(silent) >= 2 and 2 * len(silent) > len(found):
        return Decision(refused=silent)
    return Decision(dead=silent)
