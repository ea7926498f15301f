"""Calls of ours that ring WhatsApp users, and the end of those that nobody waits for any more."""

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from bridge.call.model import LegId, LineName
from bridge.errors import BridgeError, WhatsAppRefused
from bridge.legs.base import DialledLeg
from bridge.legs.cloud import CloudLeg
from bridge.legs.dial import DialOrder
from bridge.net.graph import mask
from bridge.providers.cloud.live import LiveCalls, MakeLeg, key_of_call
from bridge.wire import metadata
from bridge.wire.cloud import CallWebhook, Connected, Terminated

log = logging.getLogger(__name__)

DOUBT_SECONDS: Final = 120.0
"""How long a call may turn up whose `connect` failed without a clear answer."""
DOUBTS_KEPT: Final = 1000

NOBODY: Final = frozenset({"", "unknown"})
"""What a person is called whom Meta does not name."""


@dataclass(frozen=True, slots=True)
class _Dial:
    """What a call is known by while Meta has not given it an id."""

    line: LineName
    number: str
    """Empty for a call of a process that is no more."""
    opaque: str


class Dials:
    """Rings users.

    When Meta gives no clear answer to `connect`, somebody's telephone may ring although the call has
    failed for us. Its webhooks tell then, by what we gave along: such a call is ended at Meta's.
    """

    def __init__(self, calls: LiveCalls, legs: MakeLeg) -> None:
        """Make it; must be called within the running loop.

        Args:
            calls: of this node.
            legs: makes the legs.
        """
        self._calls = calls
        self._make_leg = legs
        self._now = asyncio.get_running_loop().time
        self._doubts: OrderedDict[_Dial, float] = OrderedDict()
        """Until when each is thought of."""
        self._asked: list[_Dial] = []
        """Those that Meta has not answered yet."""

    async def dial(
        self, line: LineName, number: str, leg_id: LegId, order: DialOrder
    ) -> DialledLeg:
        """Call a number; comes back once Meta has taken the call (`legs.dial.Dialer`).

        Raises:
            PermissionRequired, WhatsAppRefused, WhatsAppError, LimitExceeded.
        """
        leg = self._make_leg(leg_id, signalling=self._calls.signalling(line))
        try:
            offer = await leg.create_offer()
        except BaseException:
            await leg.aclose()
            raise
        # Shielded: once Meta is asked to ring somebody, the call's id must not get lost.
        failed: list[BridgeError] = []
        work = self._connect(leg, _Dial(line, number, _opaque(order)), offer, failed)
        spawn = self._calls.tasks.spawn
        asked = spawn(work, name=f"connect {leg_id}")
        try:
            await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(lambda _: spawn(leg.aclose(), name=f"abandon {leg_id}"))
            raise
        except Exception:
            await leg.aclose()
            raise
        if failed:
            await leg.aclose()
            raise failed[0]
        return leg

    def doubt(self, line: LineName, opaque: str) -> None:
        """End the call that Meta gives this back of, should there be one: nobody waits for it."""
        self._doubts[_Dial(line, "", opaque)] = self._now() + DOUBT_SECONDS

    def disown(self, line: LineName, event: CallWebhook) -> bool:
        """End the call that an event is about, if it is one that nobody waits for any more."""
        if isinstance(event, Terminated):
            return False
        person = event.caller.identity if isinstance(event, Connected) else event.person
        if any(_is_of(event, person, dial, line) for dial in self._asked):
            return False
        now = self._now()
        for dial, until in self._doubts.items():
            if until > now and _is_of(event, person, dial, line):
                work = self._end(line, event.wacid)
                self._calls.tasks.spawn(work, name=f"end {mask(event.wacid)}")
                return True
        return False

    async def _connect(
        self, leg: CloudLeg, dial: _Dial, offer: str, failed: list[BridgeError]
    ) -> None:
        calls, graph = self._calls, self._calls.lines[dial.line].graph
        # Where this is tried again in the same words, what turns up may be this call.
        doubted = self._doubts.pop(dial, 0.0)
        # A process that is killed now leaves word for the next one.
        row = await calls.store.begin_dial(dial.opaque, dial.line)
        self._asked.append(dial)
        try:
            leg.wacid = await graph.connect(dial.number, offer, opaque=dial.opaque)
            calls.add(dial.line, leg.wacid, leg, inbound=False)
            await calls.store.claim(key_of_call(dial.line, leg.wacid), dial.line)
        except BridgeError as error:
            failed.append(error)
            refused = isinstance(error, WhatsAppRefused)
            self._doubts[dial] = doubted if refused else self._now() + DOUBT_SECONDS
        finally:
            self._asked.remove(dial)
            calls.store.end_dial(row)
        if failed:
            self._review(dial)
        else:
            calls.replay(dial.line, leg.wacid)

    def _review(self, dial: _Dial) -> None:
        """Look once more at what came while Meta was asked."""
        if len(self._doubts) > DOUBTS_KEPT:
            self._doubts.popitem(last=False)
        for event in self._calls.inboxes[dial.line].held():
            self.disown(dial.line, event)

    async def _end(self, line: LineName, wacid: str) -> None:
        # Not one that another node has just been given the id of, nor one that is over.
        key = key_of_call(line, wacid)
        if self._calls.inboxes[line].is_over(wacid) or not await self._calls.store.claim(key, line):
            return
        log.warning("whatsapp.disowned", extra={"wacid": mask(wacid)})
        self._calls.count("disowned")
        await self._calls.end(line, wacid, "terminate")


def _is_of(event: CallWebhook, person: str, dial: _Dial, line: LineName) -> bool:
    """Whether an event is about the call that a dial may have begun."""
    opaque = "" if isinstance(event, Terminated) else event.opaque
    if dial.line != line or (opaque and opaque != dial.opaque):
        return False
    # Meta may leave one of both out, but not both.
    return person == dial.number or (bool(opaque) and (not dial.number or person in NOBODY))


def _opaque(order: DialOrder) -> str:
    """What Meta shall give back with each webhook: the caller's own word, else the call's id."""
    return metadata.field(order.details.metadata, "biz_opaque_callback_data") or order.call_id
