"""Which node takes a new call: this one while it has room, else the one with more room of two drawn at random.

What nodes report of their load is seconds old: what this node has placed on them since is added (as Jitsi's
conference focus does), so that a burst of calls does not all go to the node that was the emptiest.
"""

import secrets
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.cluster.siblings import Siblings
from bridge.stores.nodes import NodeLoad

ENOUGH_ROOM: Final = 0.8
"""Up to this share of what it can carry a node takes the new calls that reach it itself."""
FULL: Final = 1.0
OVERLOADED_LAG: Final = 0.5
"""Seconds by which the event loop of a node is late that gets calls only after all others."""
MAX_RECENT: Final = 10_000
"""Placements remembered; older ones are forgotten first."""


@dataclass(frozen=True, slots=True)
class Room:
    """How full a node is."""

    node: int
    share: float
    """Of what it can carry; over 1 is too much."""
    overloaded: bool = False

    @property
    def enough(self) -> bool:
        """Whether the node takes the calls that reach it without a look at others."""
        return not self.overloaded and self.share < ENOUGH_ROOM


def room_of(node: int, load: NodeLoad, *, recent: int = 0, overloaded: bool = False) -> Room:
    """Return how full a node is that has got `recent` calls since it said so."""
    share = max((load.calls + recent) / max(load.capacity, 1), load.cpu)
    return Room(node, share, overloaded or share >= FULL or load.lag >= OVERLOADED_LAG)


def choose(own: Room | None, others: Sequence[Room], draw: Callable[[int], int]) -> int | None:
    """Return the node for a new call; None if there is none.

    `own` is None while this node takes no calls. `draw` returns a random number below its argument.
    """
    if own is not None and own.enough:
        return own.node
    known = [*([own] if own is not None else []), *others]
    found = [one for one in known if not one.overloaded] or known
    if len(found) > 2:
        first = draw(len(found))
        second = (first + 1 + draw(len(found) - 1)) % len(found)
        found = [found[first], found[second]]
    return min(found, key=lambda one: one.share).node if found else None


class Placement:
    """Places new calls on the nodes."""

    def __init__(
        self,
        siblings: Siblings,
        *,
        own_load: Callable[[], NodeLoad],
        live_calls: Callable[[], Awaitable[Mapping[int, int]]],
        now: Callable[[], float],
        draw: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        """`live_calls` counts the calls of nodes that report no load: those of one machine."""
        self._siblings = siblings
        self.own_load = own_load
        self._live_calls = live_calls
        self._now = now
        self._draw = draw
        self._recent: deque[tuple[float, int]] = deque(maxlen=MAX_RECENT)

    async def choose(self, *, overloaded: bool, draining: bool) -> int:
        """Return the node for the next call; `overloaded` and `draining` say how this one is."""
        own_node, load = self._siblings.own, self.own_load()
        own = None if draining else room_of(own_node, load, overloaded=overloaded)
        if own is not None and own.enough:
            return own_node
        chosen = choose(own, await self._others(load), self._draw)
        if chosen is None or chosen == own_node:
            return own_node
        self._recent.append((self._now(), chosen))
        return chosen

    async def _others(self, own: NodeLoad) -> list[Room]:
        responsive = set(self._siblings.responsive())
        members = [
            one
            for one in self._siblings.members.others()
            if one.node in responsive and not one.draining
        ]
        since = self._now() - self._siblings.timing.recent
        while self._recent and self._recent[0][0] < since:
            self._recent.popleft()
        if any(one.load.capacity == 0 for one in members):
            # These are of this machine: their calls are exact, what they can carry is what we can.
            calls, capacity = await self._live_calls(), own.capacity
            loads = [NodeLoad(calls=calls.get(one.node, 0), capacity=capacity) for one in members]
            return [room_of(one.node, load) for one, load in zip(members, loads, strict=True)]
        placed = Counter(node for _, node in self._recent)
        return [room_of(one.node, one.load, recent=placed[one.node]) for one in members]
