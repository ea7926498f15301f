"""The calls of all nodes: limits over all of them, and the calls of the others.

A call lives in the node that owns it, which its id names. What the nodes must agree on is in the database
(`stores.directory`); siblings are asked only for the present state of their calls.
"""

import asyncio
import contextlib
import hashlib
from typing import Final

import msgspec

from bridge.call.model import CallFacts, CallId, CallRecord, Direction, EndReason, LineName
from bridge.call.quota import Quota
from bridge.cluster.siblings import Siblings
from bridge.db.database import Connection, Database
from bridge.errors import DatabaseLost
from bridge.settings.model import Limits
from bridge.stores import directory
from bridge.stores import handover as stored_moves
from bridge.stores.directory import Spend
from bridge.wire.call_id import native

CALLS_PATH = "/node/calls"
"""Where siblings list a line's calls."""
MAX_OWNERS: Final = 10_000
"""Calls whose nodes are remembered after a handover."""
_ENDED: Final = "call_over"
_DELETED: Final = "call_uncounted"
"""Kinds of what must not be lost (`Database.append`): calls would count against the limits for ever."""


def owner_of(call_id: str) -> int | None:
    """Return the node that owns a call, from its id in any form; None for what is no call id."""
    known = native(call_id)
    return int(known[:2], 16) if known else None


class SharedDirectory:
    """The directory of one of several nodes."""

    def __init__(
        self,
        database: Database,
        siblings: Siblings,
        *,
        counters: Database,
        boot: str,
        quota: Quota,
        limits: Limits,
    ) -> None:
        """Make the directory of the process `boot`; `quota` limits the calls of all nodes and of each line.

        `counters` has the rate buckets, which a power cut may set back.
        """
        self.node = siblings.own
        self._counters = counters
        self._own_buckets: dict[bytes, tuple[float, float]] = {}
        """What stands for the buckets of all nodes while the database cannot be reached."""
        self._owners: dict[str, int] = {}
        self._boot = boot
        self._database = database
        self.siblings = siblings
        self._quota = quota
        self._limits = limits
        database.handle(_ENDED, self._write_ends)
        database.handle(_DELETED, _delete)

    async def insert(self, facts: CallFacts, direction: Direction) -> None:
        """Count a new call.

        Raises:
            LimitExceeded: the limit of all nodes, or the line's share of it, is reached.
            DatabaseLost: it cannot be counted; then it is not.
        """
        try:
            await self._database.run(
                directory.insert,
                facts,
                direction,
                node=self.node,
                boot=self._boot,
                quota=self._quota,
            )
        except (asyncio.CancelledError, DatabaseLost):
            # It may be inserted all the same; the deletion is queued behind.
            self.delete(facts.call_id)
            raise

    def delete(self, call_id: CallId) -> None:
        """Uncount a call that never started."""
        self._database.append(_DELETED, msgspec.json.encode(call_id))

    def end(self, call_id: CallId, reason: EndReason) -> None:
        """Uncount a call that has ended."""
        self._database.append(_ENDED, msgspec.json.encode((call_id, reason)))

    async def erase(self, call_id: CallId) -> None:
        """Delete an ended call, and its bytes."""
        await self._database.run(directory.delete, call_id)
        await self._database.checkpoint()

    async def elsewhere(self, line: LineName) -> list[CallRecord]:
        """Return a line's live calls on the other nodes, as far as these answer."""
        answers = await self.siblings.request_all(CALLS_PATH, line=line)
        return [
            record
            for answer in answers.values()
            if answer is not None
            for record in msgspec.json.decode(answer, type=list[CallRecord])
        ]

    async def find(self, call_id: str) -> CallRecord | None:
        """Return a call of any node (`stores.directory.find`)."""
        return await self._database.read(directory.find, call_id)

    async def owner(self, call_id: str) -> int | None:
        """Return the node that has a call, or had it when it ended, after all handovers; None for an unknown call.

        What was found once is remembered until that node drains, and may pass the call on.
        """
        if (known := self._owners.get(call_id)) is not None and self._stays(known):
            return known
        self._owners.pop(call_id, None)
        found = await self._database.read(stored_moves.owner, call_id)
        if found is not None and self._stays(found):
            while len(self._owners) >= MAX_OWNERS:
                del self._owners[next(iter(self._owners))]
            self._owners[call_id] = found
        return found

    def _stays(self, node: int) -> bool:
        member = self.siblings.members.find(node)
        return member is not None and not member.draining

    async def spend(self, key: bytes, spend: Spend) -> float:
        """Update a key's bucket over all nodes (`stores.directory.spend`).

        While the database cannot be reached, each node counts alone.
        """
        # Keys are secrets: the database holds only their digests.
        digest = hashlib.sha256(key).digest()
        if self._counters.reachable:
            with contextlib.suppress(DatabaseLost):
                return await self._counters.run(directory.spend, digest, spend)
        now = asyncio.get_running_loop().time()
        bucket = self._own_buckets[digest] = spend(self._own_buckets.get(digest), now)
        return bucket[0]

    @property
    def busy(self) -> bool:
        """Whether requests are being counted."""
        return self._counters.busy

    async def aclose(self) -> None:
        """Close the connections to the siblings, and to the counters."""
        await self.siblings.aclose()
        await self._counters.aclose()

    def _write_ends(self, connection: Connection, payloads: list[bytes]) -> None:
        for payload in payloads:
            call_id, reason = msgspec.json.decode(payload, type=tuple[str, EndReason])
            directory.end(
                connection,
                call_id,
                reason,
                kept_seconds=self._limits.kept_seconds,
                per_line=self._limits.ended_per_line,
            )


def _delete(connection: Connection, payloads: list[bytes]) -> None:
    for payload in payloads:
        directory.delete(connection, msgspec.json.decode(payload, type=str))
