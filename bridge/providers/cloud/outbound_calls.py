"""Outbound calls to WhatsApp users, and the end of orphans: calls that nobody waits for any more."""

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from bridge.call.model import CallFacts, LineName
from bridge.errors import WhatsAppRefused
from bridge.legs.base import new_leg_id
from bridge.legs.cloud import CloudLeg
from bridge.providers.cloud.live import LineSignalling, LiveCalls, key_of_call
from bridge.whatsapp.graph import mask
from bridge.wire import metadata
from bridge.wire.cloud import CallWebhook, Connected, Terminated

log = logging.getLogger(__name__)

ORPHAN_SECONDS: Final = 120.0
"""How long a call may turn up whose `connect` failed without a clear answer."""
MAX_SUSPECTS: Final = 1000

NOBODY: Final = frozenset({"", "unknown"})
"""What stands for a person whom Meta does not name."""


@dataclass(frozen=True, slots=True)
class _Dial:
    """What identifies a call that Meta has not yet given an id."""

    line: LineName
    number: str
    """Empty for a call of a process that is no more."""
    opaque: str
    """What Meta echoes in each webhook: the caller's own data, else the call's id."""
    call_id: str = field(default="", compare=False)


class OutboundCalls:
    """Rings users.

    When Meta gives no clear answer to `connect`, somebody's phone may ring although the call has
    failed for us. The opaque data in its webhooks identifies such an orphan, which is then ended.
    """

    def __init__(self, calls: LiveCalls) -> None:
        """Must be called within the running loop."""
        self._calls = calls
        self._now = asyncio.get_running_loop().time
        self._suspects: OrderedDict[_Dial, float] = OrderedDict()
        """Dials that failed without a clear answer, and until when their calls may turn up."""
        self._asked: list[_Dial] = []
        """Those that Meta has not answered yet."""

    def leg(self, call: CallFacts, number: str) -> CloudLeg:
        """Return a leg that rings a number."""
        own = metadata.field(call.details.metadata, "biz_opaque_callback_data")
        dial = _Dial(call.line, number, own or call.call_id, call.call_id)

        async def connect(leg: CloudLeg, offer: str) -> None:
            outcome: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
            # A task of its own: once Meta is asked to ring somebody, the call's id must not get lost.
            work = self._connect(leg, dial, offer, outcome)
            self._calls.tasks.spawn(work, name=f"connect {leg.leg_id}")
            if (error := await outcome) is not None:
                raise error

        signalling = LineSignalling(self._calls, call.line)
        return self._calls.make_leg(new_leg_id(), signalling=signalling, connect=connect)

    def suspect_orphan(self, line: LineName, opaque: str) -> None:
        """Expect a call that a killed process was dialling; only its opaque data is known."""
        self._suspects[_Dial(line, "", opaque)] = self._now() + ORPHAN_SECONDS

    def end_orphan(self, line: LineName, event: CallWebhook) -> bool:
        """End the call that an event is about where it is an orphan; report whether it is one."""
        if isinstance(event, Terminated):
            return False
        person = event.caller.identity if isinstance(event, Connected) else event.person
        if any(_is_of(event, person, dial, line) for dial in self._asked):
            return False
        now = self._now()
        for dial, until in self._suspects.items():
            if until > now and _is_of(event, person, dial, line):
                work = self._end(line, event.wacid)
                self._calls.tasks.spawn(work, name=f"end {mask(event.wacid)}")
                return True
        return False

    async def _connect(
        self, leg: CloudLeg, dial: _Dial, offer: str, outcome: asyncio.Future[Exception | None]
    ) -> None:
        """Ask Meta to ring; `outcome` is cancelled by a leg that no longer waits for the answer."""
        calls, line = self._calls, dial.line
        wacid, error = "", None
        # A retry with the same data: what turns up may be the new call.
        suspected = self._suspects.pop(dial, 0.0)
        try:
            # For the next process, should this one be killed.
            row = await calls.store.begin_dial(dial.opaque, line)
            self._asked.append(dial)
            try:
                graph = calls.lines[line].graph
                wacid = await graph.connect(dial.number, offer, opaque=dial.opaque)
                await calls.store.claim(key_of_call(line, wacid), line)
            finally:
                self._asked.remove(dial)
                calls.store.end_dial(row)
        except Exception as raised:
            error = raised
        if wacid and (error is not None or outcome.done()):
            await calls.end(line, wacid, "terminate")
        elif wacid:
            calls.store.name(key_of_call(line, wacid), dial.call_id)
            calls.add(line, wacid, leg, inbound=False)
            leg.dialled(wacid)
            calls.replay(line, wacid)
        else:
            refused = isinstance(error, WhatsAppRefused)
            self._suspect(dial, suspected if refused else self._now() + ORPHAN_SECONDS)
        if not outcome.done():
            outcome.set_result(error)

    def _suspect(self, dial: _Dial, until: float) -> None:
        """Expect the call of a dial that failed, and review the events that came meanwhile."""
        self._suspects[dial] = until
        if len(self._suspects) > MAX_SUSPECTS:
            self._suspects.popitem(last=False)
        for event in self._calls.inboxes[dial.line].held():
            self.end_orphan(dial.line, event)

    async def _end(self, line: LineName, wacid: str) -> None:
        # Not one whose id another node has just received, nor one that is over.
        key = key_of_call(line, wacid)
        if self._calls.inboxes[line].is_over(wacid) or not await self._calls.store.claim(key, line):
            return
        log.warning("whatsapp.orphan_ended", extra={"wacid": mask(wacid)})
        self._calls.count("orphaned")
        await self._calls.end(line, wacid, "terminate")


def _is_of(event: CallWebhook, person: str, dial: _Dial, line: LineName) -> bool:
    """Report whether an event is about the call that a dial may have begun."""
    opaque = "" if isinstance(event, Terminated) else event.opaque
    if dial.line != line or (opaque and opaque != dial.opaque):
        return False
    # Meta may leave out one of the two, but not both.
    return person == dial.number or (bool(opaque) and (not dial.number or person in NOBODY))
