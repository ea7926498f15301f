"""Takes over what lost nodes left: goes on with their calls or ends them, delivers their webhooks, has their providers hang up.

Each loss is taken over in one transaction, by whichever node is first; for the others nothing is left.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

import msgspec

from bridge.call.model import CallRecord, EndReason, State
from bridge.cluster.membership import Membership, is_first
from bridge.db.database import Connection, Database
from bridge.stores import events as event_store
from bridge.stores import lost_nodes, portable_calls
from bridge.stores import nodes as node_store
from bridge.stores.event_log import EventLog, callback_of
from bridge.stores.handover import Move, inherit
from bridge.stores.nodes import Member
from bridge.stores.portable_calls import TakenCall
from bridge.tasks import wait_set
from bridge.wire.call_event import CallEvent, CallSnapshot, EventType, end_id

log = logging.getLogger(__name__)

KeepLost: TypeAlias = Callable[[Connection, str, CallSnapshot], CallRecord]
"""Writes the record of a call that was cut off, in the transaction of its end, and returns it."""
Lost: TypeAlias = tuple[CallRecord, str]
"""A call that was cut off, and the boot id of its process."""


class Recovery:
    """Takes over what lost nodes left, and what earlier processes of the bridge did."""

    def __init__(  # noqa: PLR0913  (all but two by keyword)
        self,
        database: Database,
        members: Membership,
        *,
        keep_lost: KeepLost,
        events: EventLog,
        count_lost: Callable[[CallRecord, str], None],
        inherited: Sequence[Move] = (),
        crashed: Collection[str] = (),
    ) -> None:
        """Register this process, before it writes anything.

        `count_lost` is called for each call that was cut off, with the cause (`metrics.calls.LOSS_CAUSES`); `inherited` are those that are not, of the process in
        whose place this one was started, and `crashed` those that it and another have died of.
        """
        self._database = database
        self._members = members
        self._keep_lost = keep_lost
        self._events = events
        events.on_late = self._attempt
        self._count_lost = count_lost
        self._inherited = inherited
        self._crashed = crashed
        self.on_late: Callable[[str], None] = lambda _: None
        """Called with each inherited call that others have ended."""
        self.takes_over: Callable[[], bool] = lambda: False
        """Whether this node can go on with calls of machines that have died."""
        self.on_taken_over: Callable[[Sequence[TakenCall]], None] = lambda _: None
        """Called with those that are to go on here."""
        self._registered = False
        self._ended: dict[str, Member] = {}
        """Nodes that have ended, by their boot ids."""
        self._dead: dict[str, Member] = {}
        """Nodes that have been declared dead."""
        self._woken = asyncio.Event()
        self._busy = False
        self._again = False
        members.follow_ended(self._note)
        self._attempt()

    async def run(self) -> None:
        """Try again what the database could not do, and look for what was written late, until cancelled."""
        timing = self._members.timing
        while True:
            if await wait_set(self._woken, timing.sweep if self._members.several else None):
                self._woken.clear()
                await asyncio.sleep(timing.retry)
            elif not is_first(self._members):
                continue
            self._attempt()

    def again(self) -> None:
        """Take over what others have left since: calls that could not be inherited."""
        self._attempt()

    def _note(self, ended: Collection[Member], certain: bool) -> None:  # noqa: FBT001 - a callback
        (self._ended if certain else self._dead).update((one.boot, one) for one in ended)
        self._attempt()

    def _attempt(self) -> None:
        """Take over what is known to be lost, unless that is under way: then once more afterwards."""
        if self._busy:
            self._again = True
            return
        self._busy, self._again = True, False
        attempt = _Attempt(
            dict(self._ended),
            dict(self._dead),
            register=not self._registered,
            takes_over=self.takes_over(),
        )
        self._database.post(
            lambda connection: self._take_over(connection, attempt),
            then=lambda: self._taken_over(attempt),
            failed=self._failed,
        )

    def _take_over(self, connection: Connection, attempt: "_Attempt") -> None:
        attempt.taken.clear()
        attempt.lost.clear()
        attempt.late.clear()
        attempt.moved.clear()
        own = self._members.own
        if attempt.register:
            # Before the former process is found to have ended, with its calls.
            attempt.late.update(inherit(connection, self._inherited))
            self._members.register(connection)
            attempt.lost.extend(end_crashed(connection, own, self._crashed, self._keep_lost))
        elif node_store.ended_at(connection, own.boot) is not None:
            return  # this node is lost itself
        now = connection.now()
        attempt.taken.update(node_store.end(connection, attempt.ended, now=now))
        dead = node_store.end(connection, attempt.dead, now=now, certain=False)
        attempt.taken.update(dead)
        if attempt.takes_over:
            # Of a process whose end a supervisor saw, the one that is started in its place has the calls.
            attempt.moved.extend(
                portable_calls.take_over(
                    connection, dead, own, now=now, lease=self._members.timing.lease
                )
            )
        attempt.lost.extend(end_calls(connection, own, keep_lost=self._keep_lost))
        if lost_nodes.assign(connection, own):
            # Somebody else found that they had ended, or they said so, and have left this.
            attempt.taken.update(attempt.ended)

    def _taken_over(self, attempt: "_Attempt") -> None:
        self._registered, self._busy = True, False
        nodes = attempt.ended | attempt.dead
        for boot in nodes:
            self._ended.pop(boot, None)
            self._dead.pop(boot, None)
        for call_id in attempt.late:
            self.on_late(call_id)
        if attempt.moved:
            self.on_taken_over(attempt.moved)
        for record, boot in attempt.lost:
            self._count_lost(record, "machine" if boot in attempt.dead else "crash")
        self._events.written()
        for boot in attempt.taken:
            lost = nodes[boot]
            # One that has drained leaves no calls, and need not be looked into.
            log.log(
                logging.INFO if lost.draining else logging.WARNING,
                "node.taken_over",
                extra={
                    "node": self._members.own.node,
                    "lost": lost.node,
                    "url": lost.url,
                    "calls": len(attempt.lost),
                    "taken_over": len(attempt.moved),
                },
            )
            self._members.taken_over(lost)
        if self._again:
            self._attempt()

    def _failed(self) -> None:
        self._busy = False
        self._woken.set()


@dataclass(slots=True)
class _Attempt:
    """What one transaction is to take over, and what it has."""

    ended: dict[str, Member]
    dead: dict[str, Member]
    register: bool
    takes_over: bool
    taken: set[str] = field(default_factory=set)
    """Boot ids of the nodes that it has taken over."""
    lost: list[Lost] = field(default_factory=list)
    """Calls that were cut off, and the boot ids of their processes."""
    late: set[str] = field(default_factory=set)
    """Inherited calls that others had ended before."""
    moved: list[TakenCall] = field(default_factory=list)
    """Calls of dead machines that go on here."""


def end_crashed(
    connection: Connection, own: Member, crashed: Collection[str], keep_lost: KeepLost
) -> list[Lost]:
    """End calls that processes have died of, as node `own`; return them, but those that have an end."""
    events = [lost_nodes.open_call(connection, call_id) for call_id in sorted(crashed)]
    return _end(connection, own, filter(None, events), EndReason.FAILED, keep_lost)


def end_calls(connection: Connection, own: Member, *, keep_lost: KeepLost) -> list[Lost]:
    """End the calls of processes that have ended, as node `own`; return them.

    One whose end was written before is not among them.
    """
    left = lost_nodes.open_calls(connection)
    lost = _end(connection, own, left, EndReason.NODE_LOST, keep_lost)
    lost_nodes.uncount(connection, now=datetime.now(UTC).timestamp())
    return lost


def _end(
    connection: Connection,
    own: Member,
    left: Iterable[tuple[CallEvent, str]],
    reason: EndReason,
    keep_lost: KeepLost,
) -> list[Lost]:
    """End calls, of which these are the last events and the boot ids of their processes."""
    now, lost = datetime.now(UTC), []
    for last, boot in left:
        if last.call is not None:
            event = _ended(last.line, last.call, now, reason.value)
            if event_store.insert(connection, event, own=own, callback=callback_of(event)):
                assert event.call is not None
                lost.append((keep_lost(connection, event.line, event.call), boot))
            lost_nodes.close(connection, last.call.id)
    return lost


def _ended(line: str, call: CallSnapshot, now: datetime, reason: str) -> CallEvent:
    """Return the end of a call that was cut off."""
    ended = msgspec.structs.replace(
        call,
        state=State.ENDED.value,
        reason=reason,
        ended_at=now,
        seconds=max(0.0, (now - call.started_at).total_seconds()),
    )
    return CallEvent(
        id=end_id(call.id),
        type=EventType.CALL_ENDED,
        line=line,
        at=now,
        call=ended,
        data={"reason": reason},
    )
