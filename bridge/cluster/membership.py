"""The nodes of a bridge where no lease is needed: one process, or the processes of one machine."""

import asyncio
import secrets
from collections.abc import Callable, Collection
from typing import TypeAlias

from bridge.db.database import Connection, wall_time
from bridge.stores import nodes
from bridge.stores.nodes import Member, Members

Ended: TypeAlias = Callable[[Collection[Member], bool], None]
"""Called with nodes that have ended; False: whose leases have run out."""


def new_boot() -> str:
    """Return an id for a process that starts."""
    return secrets.token_hex(8)


def is_first(members: Members) -> bool:
    """Return whether this node has the least number of those that take calls: it does what one must do."""
    others = [one.node for one in members.others() if not one.draining]
    return members.own.node < min(others, default=members.own.node + 1)


class Alone:
    """The only node of a bridge (`stores.nodes.Members`)."""

    def __init__(self, *, boot: str = "", machine: str = "") -> None:
        self.own = Member(node=0, boot=boot or new_boot(), machine=machine)
        self.several = False
        self.fenced = asyncio.Event()

    def others(self) -> list[Member]:
        """There are none."""
        return []

    def find(self, node: int) -> Member | None:
        """Return this node for its number."""
        return self.own if node == self.own.node else None

    def now(self) -> float:
        """Return the machine's time."""
        return wall_time()

    def follow_lost(self, follower: Callable[[Member], None]) -> None:
        """Nobody is lost while this node runs."""

    def follow_ended(self, follower: Ended) -> None:
        """Nobody ends while this node runs."""

    def taken_over(self, lost: Member) -> None:
        """Nobody is taken over while this node runs."""

    def register(self, connection: Connection) -> None:
        """Register this process; all others have ended."""
        nodes.register(connection, self.own, run=self.own.boot, now=connection.now())


class Supervised:
    """The nodes of one machine, as their supervisor reports them (`stores.nodes.Members`)."""

    def __init__(self, own: Member, others: Collection[Member] = (), *, run: str) -> None:
        """Set this node, the others that its supervisor has named so far, and the supervisor's run."""
        self.own = own
        self.several = True
        self.fenced = asyncio.Event()
        self.run = run
        self._followers: list[Callable[[Member], None]] = []
        self._ended: list[Ended] = []
        self._known: set[str] = set()
        """Processes that are known to have ended."""
        self._members: dict[int, Member] = {}
        self.update([own, *others], ())

    def others(self) -> list[Member]:
        """Return the other nodes that the supervisor runs."""
        return [one for node, one in sorted(self._members.items()) if node != self.own.node]

    def find(self, node: int) -> Member | None:
        """Return a node that the supervisor runs, this one too."""
        return self._members.get(node)

    def now(self) -> float:
        """Return the machine's time."""
        return wall_time()

    def update(self, living: Collection[Member], ended: Collection[Member]) -> None:
        """Note which processes run, and which have ended, as of now."""
        self.own = next((one for one in living if one.boot == self.own.boot), self.own)
        self._members = {one.node: one for one in living} | {self.own.node: self.own}
        new = [one for one in ended if one.boot not in self._known]
        self._known.update(one.boot for one in new)
        if new:
            for follower in self._ended:
                follower(new, True)  # noqa: FBT003

    def follow_lost(self, follower: Callable[[Member], None]) -> None:
        """Call a function for each process that has ended, once this node has taken over what it left."""
        self._followers.append(follower)

    def follow_ended(self, follower: Ended) -> None:
        """Call a function with processes that have ended."""
        self._ended.append(follower)

    def taken_over(self, lost: Member) -> None:
        """Report a process that was taken over."""
        for follower in self._followers:
            follower(lost)

    def register(self, connection: Connection) -> None:
        """Register this process; those of an earlier supervisor have ended."""
        nodes.register(connection, self.own, run=self.run, now=connection.now())
