"""Goes on with calls of a machine that has died, and leaves this node's own to others in case it does.

While a node lives it writes what another one needs to the database whenever a call changes. Which node takes the calls of
a dead one over is decided by `recovery`, in the transaction that declares it dead.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

import msgspec

from bridge.call.model import CallId
from bridge.db.database import Database
from bridge.errors import HandoverRefused
from bridge.stores import portable_calls
from bridge.stores.handover import MOVED, Move
from bridge.stores.portable_calls import TakenCall
from bridge.tasks import Tasks

log = logging.getLogger(__name__)

CAUSE: Final = "machine"
"""Why a call that was taken over has moved (`call.recovered`)."""
POLL_SECONDS: Final = 0.25
"""Between two looks at which calls have changed."""
AT_ONCE: Final = 8
"""Calls described in one look, and written in one transaction."""


class PortableCalls(Protocol):
    """What of `node.portable_call.PortableCalls` this needs."""

    def revisions(self) -> dict[CallId, int]:
        """Return the live calls, with a number that grows when one changes."""

    def snapshot(self, call_id: CallId) -> bytes | None:
        """Return a call as another machine goes on with it, None if none can; raises `HandoverRefused`: not now."""


class SnapshotWriter:
    """Keeps the snapshots of this node's calls in the database; at most one transaction of it waits there."""

    def __init__(
        self, calls: PortableCalls, database: Database, boot: str, took: Callable[[float], None]
    ) -> None:
        """`took` is called with the seconds that each look took."""
        self._calls = calls
        self._database = database
        self._boot = boot
        self._took = took
        self._written: dict[CallId, int] = {}
        """Revisions of the calls, as they are in the database."""
        self._portable: set[CallId] = set()
        self._busy = False

    async def run(self) -> None:
        """Write what has changed, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                self.look()
            except Exception:  # must not end the loop
                log.exception("takeover.snapshots_failed")
            self._took(loop.time() - began)
            await asyncio.sleep(POLL_SECONDS)

    def is_portable(self, call_id: CallId) -> bool:
        """Return whether another machine may have gone on with a call, were this one declared dead."""
        return call_id in self._portable

    def look(self) -> None:
        """Write the snapshots of calls that have changed, unless the last ones are not written yet."""
        revisions = self._calls.revisions()
        for call_id in self._written.keys() - revisions.keys():
            del self._written[call_id]
            self._portable.discard(call_id)
        if self._busy or not self._database.reachable:
            return
        changed: dict[CallId, int] = {}
        snapshots: dict[CallId, bytes | None] = {}
        for call_id, revision in revisions.items():
            if self._written.get(call_id) != revision and len(snapshots) < AT_ONCE:
                with suppress(HandoverRefused):  # it is being connected; the next look tries again
                    snapshots[call_id] = self._calls.snapshot(call_id)
                    changed[call_id] = revision
        if snapshots:
            self._write(snapshots, changed)

    def _write(
        self, snapshots: Mapping[CallId, bytes | None], revisions: Mapping[CallId, int]
    ) -> None:
        def written() -> None:
            self._busy = False
            self._written.update(revisions)

        def failed() -> None:
            self._busy = False

        self._busy = True
        for call_id, snapshot in snapshots.items():
            # Before it is committed: others may then go on with it.
            (self._portable.discard if snapshot is None else self._portable.add)(call_id)
        write = partial(portable_calls.write, boot=self._boot, snapshots=snapshots)
        self._database.post(write, then=written, failed=failed)


class MachineTakeover:
    """Goes on with the calls of dead machines whose rows in the database name this node."""

    def __init__(
        self,
        adopt: Callable[[bytes], CallId],
        *,
        database: Database,
        now: Callable[[], float],
        recovered: Callable[[CallId, float, str], None],
        lost: Callable[[], None],
    ) -> None:
        """`adopt` goes on with a call, or raises `HandoverRefused`; `now` is the time that all nodes share.

        `recovered` is called with each call, the seconds since its machine was last known to be alive, and the cause;
        `lost` once the rows of a call that cannot go on name the dead process again.
        """
        self._adopt = adopt
        self._database = database
        self._now = now
        self._recovered = recovered
        self._lost = lost
        self._tasks = Tasks()

    def take_over(self, calls: Sequence[TakenCall]) -> None:
        """Go on with calls, one after the other."""
        self._tasks.spawn(self._take_over(calls), name="take over calls of a machine")

    async def aclose(self) -> None:
        """Finish with the calls that are being taken over."""
        await self._tasks.wait()

    async def _take_over(self, calls: Sequence[TakenCall]) -> None:
        for call in calls:
            try:
                call_id = self._adopt(call.snapshot)
            except HandoverRefused as error:
                self._give_back(call, str(error))
            except Exception:  # a mistake about one call must not cost the others
                log.exception("takeover.failed", extra={"call": call.move.call_id})
                self._give_back(call, "internal error")
            else:
                self._recovered(call_id, max(0.0, self._now() - call.silent_since), CAUSE)
            await asyncio.sleep(0)

    def _give_back(self, call: TakenCall, why: str) -> None:
        """Let a call end as those of a dead process do."""
        log.error("call.not_recovered", extra={"call": call.move.call_id, "why": why})
        moved, former = call.move, call.former
        back = Move(moved.call_id, moved.boot, former.node, former.boot, moved.provider_keys)
        payload = msgspec.msgpack.encode(back)
        self._database.append(MOVED, payload, then=self._lost, failed=self._lost)
