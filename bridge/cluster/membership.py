"""The nodes of a bridge, as one of them knows them: what all kinds of membership share, and those that need no lease.

States of another node (`stores.nodes.Member`), as one sees it:

    state       since                                             until
    alive       it has registered                                 its lease runs out, or its process ends
    suspected   its lease has run out (`failure_detector`)        it renews its lease, or is declared dead
    dead        it did not say by HTTP that it is alive           it renews its lease before its end is recorded
    ended       its end is recorded in the database, or its supervisor has seen it
    lost        another node has ended its calls, and has taken over the rest of its work (`recovery`)

A bridge with one node has no other; a supervisor's nodes have no leases, and go from alive to ended. A node that finds
that it was declared dead itself is **fenced**: its calls end without events, and it exits.
"""

import asyncio
import secrets
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, TypeAlias

from bridge.cluster.timing import DEFAULT, ClusterTiming
from bridge.db.database import Connection, wall_time
from bridge.stores import nodes
from bridge.stores.nodes import Member

if TYPE_CHECKING:
    from bridge.cluster.succession import Succession

Ended: TypeAlias = Callable[[Collection[Member], bool], None]
"""Called with nodes that have ended, or (False) are dead."""


def new_boot() -> str:
    """Return an id for a process that starts."""
    return secrets.token_hex(8)


class Membership:
    """The nodes of a bridge, and who is told of those that end."""

    def __init__(self, own: Member, *, launch_id: str, timing: ClusterTiming) -> None:
        """Set this node, and what has started it: its supervisor's launch, or its own boot id."""
        self.own = own
        self.launch_id = launch_id
        self.timing = timing
        self.several = True
        """Whether there may be others, now or later."""
        self.succession: Succession | None = None
        """What this node has been left, and leaves; None where no supervisor keeps it."""
        self.spares = 0
        """Processes that wait for the place of a node that dies, as the supervisor of this one has said."""
        self.fenced = asyncio.Event()
        """Set when this process was declared dead."""
        self.finish_seconds = timing.finish_supervised
        """How long requests that came before a drain may begin their calls."""
        self._followers: list[Callable[[Member], None]] = []
        self._ended: list[Ended] = []
        self._known: set[str] = set()
        """Processes that are known to have ended."""
        self._members: dict[int, Member] = {}

    def others(self) -> list[Member]:
        """Return the other nodes that are alive, by number; at most a second old."""
        return [one for node, one in sorted(self._members.items()) if node != self.own.node]

    def find(self, node: int) -> Member | None:
        """Return a node that has not ended, this one too."""
        return self.own if node == self.own.node else self._members.get(node)

    def now(self) -> float:
        """Return the time on the clock that all nodes share, in Unix seconds."""
        return wall_time()

    def follow_lost(self, follower: Callable[[Member], None]) -> None:
        """Call a function for each lost node that this one has taken over."""
        self._followers.append(follower)

    def follow_ended(self, follower: Ended) -> None:
        """Call a function with nodes that have ended, or are dead."""
        self._ended.append(follower)

    def taken_over(self, lost: Member) -> None:
        """Report a node that was taken over."""
        for follower in self._followers:
            follower(lost)

    def register(self, connection: Connection) -> None:
        """Register this process; those of another launch have ended."""
        nodes.register(connection, self.own, launch_id=self.launch_id, now=connection.now())

    def _report(self, ended: Collection[Member], *, certain: bool) -> None:
        if ended:
            for follower in self._ended:
                follower(ended, certain)


def is_first(members: Membership) -> bool:
    """Return whether this node has the least number of those that take calls: it does what one must do."""
    others = [one.node for one in members.others() if not one.draining]
    return members.own.node < min(others, default=members.own.node + 1)


class SingleNode(Membership):
    """The only node of a bridge."""

    def __init__(
        self, *, boot: str = "", machine: str = "", timing: ClusterTiming = DEFAULT
    ) -> None:
        own = Member(node=0, boot=boot or new_boot(), machine=machine)
        super().__init__(own, launch_id=own.boot, timing=timing)
        self.several = False


class Supervised(Membership):
    """The nodes of one machine, as their supervisor reports them."""

    def __init__(
        self,
        own: Member,
        others: Collection[Member] = (),
        *,
        launch_id: str,
        timing: ClusterTiming = DEFAULT,
    ) -> None:
        """Set this node, the others that its supervisor has named so far, and the supervisor's launch."""
        super().__init__(own, launch_id=launch_id, timing=timing)
        self.update([own, *others], ())

    def update(self, living: Collection[Member], ended: Collection[Member]) -> None:
        """Note which processes run, and which have ended, as of now."""
        self.own = next((one for one in living if one.boot == self.own.boot), self.own)
        self._members = {one.node: one for one in living}
        new = [one for one in ended if one.boot not in self._known]
        self._known.update(one.boot for one in new)
        self._report(new, certain=True)
