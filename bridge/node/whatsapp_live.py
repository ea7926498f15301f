"""The calls of Meta's that are live on this node: what webhooks tell them, and how Meta learns ends."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from bridge.call.model import EndReason, LegId, LineName
from bridge.errors import WhatsAppError, WhatsAppRefused
from bridge.legs.whatsapp import Ring, Signalling, WhatsAppLeg
from bridge.net.graph import Graph, mask
from bridge.net.whatsapp_store import WhatsAppStore
from bridge.node.tasks import Tasks
from bridge.node.whatsapp_inbox import Inbox
from bridge.wire.whatsapp import (
    MEDIA_TIMEOUT_CODES,
    CallNews,
    Connected,
    Status,
    StatusChanged,
    Terminated,
    WebhookEvent,
)

log = logging.getLogger(__name__)

Event = TypeVar("Event", bound=WebhookEvent)

GOODBYE_SECONDS: Final = 8.0
"""How long the end of the bridge waits for Meta to take the last goodbyes."""


@dataclass(frozen=True, slots=True)
class CloudLine:
    """A line whose calls come from Meta."""

    phone_number_id: str
    app_secret: str
    verify_token: str
    pre_accept: bool
    graph: Graph


class MakeLeg(Protocol):
    """Makes a leg that is not in a call yet."""

    def __call__(
        self, leg_id: LegId, *, signalling: Signalling, ring: Ring | None = None
    ) -> WhatsAppLeg:
        """Give the leg; raises `SdpError` for a ring that cannot be answered."""
        ...


@dataclass(frozen=True, slots=True)
class _Live:
    leg: WhatsAppLeg
    inbound: bool
    opaque: str = ""


class LiveCalls:
    """The live calls by Meta's ids, and what waits for those that are not known yet."""

    def __init__(
        self,
        lines: Mapping[LineName, CloudLine],
        *,
        store: WhatsAppStore,
        count: Callable[[str], None],
    ) -> None:
        """Make the table; must be called within the running loop.

        Args:
            lines: by name.
            store: what outlives the process.
            count: counts webhooks' events by what became of them (`metrics.whatsapp.WEBHOOK_OUTCOMES`).
        """
        self.lines = lines
        self.store = store
        self.count = count
        self.inbox = Inbox(asyncio.get_running_loop().time, count=count)
        self.tasks = Tasks()
        """What is asked of Meta while nobody waits."""
        self._live: dict[str, _Live] = {}

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, wacid: object) -> bool:
        return wacid in self._live

    def add(self, wacid: str, leg: WhatsAppLeg, *, inbound: bool) -> None:
        """Take a leg in: what webhooks tell of the call goes to it from now on."""
        self._live[wacid] = _Live(leg, inbound)

    def name(self, wacid: str, opaque: str) -> None:
        """Say what Meta shall give back in the webhooks of a call once it is accepted."""
        if (live := self._live.get(wacid)) is not None:
            self._live[wacid] = replace(live, opaque=opaque)

    def opaque(self, wacid: str) -> str:
        """Give what Meta shall give back; empty for nothing."""
        live = self._live.get(wacid)
        return live.opaque if live is not None else ""

    def tell(self, event: CallNews) -> bool:
        """Tell a leg what happened to its call; False when the call is not known here."""
        live = self._live.get(event.wacid)
        if live is None:
            return False
        leg = live.leg
        if isinstance(event, Connected):
            leg.take_answer(event.sdp)
        elif isinstance(event, StatusChanged):
            self._tell_status(leg, event.status)
        elif isinstance(event, Terminated):
            reason = _reason(event, inbound=live.inbound)
            codes = [error.code for error in event.errors]
            log.info("whatsapp.ended", extra={"reason": reason, "meta_codes": codes})
            leg.terminated(reason)
            self._over(event.wacid)
        return True

    def replay(self, wacid: str) -> None:
        """Tell a leg what was held for it."""
        for event in ends_last(self.inbox.give(wacid)):
            self.tell(event)

    def signalling(self, line: LineName) -> Signalling:
        """Give what the legs of a line ask of Meta."""
        return _LineSignalling(self, line)

    async def end(self, line: LineName, wacid: str, action: str) -> None:
        """End a call at Meta's (`reject` or `terminate`); goes on when the waiter is cancelled."""
        self._forget(wacid)
        work = self._say_goodbye(line, wacid, action)
        await asyncio.shield(self.tasks.spawn(work, name=f"{action} {mask(wacid)}"))

    async def aclose(self) -> None:
        """Wait for the last goodbyes to reach Meta."""
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self.tasks.wait()
        except TimeoutError:
            log.warning("whatsapp.goodbyes_lost")
        await self.tasks.aclose()

    def _tell_status(self, leg: WhatsAppLeg, status: Status) -> None:
        if status is Status.RINGING:
            leg.ringing()
        elif status is Status.ACCEPTED:
            leg.accepted()
        else:
            leg.rejected()
            self._over(leg.wacid)

    def _over(self, wacid: str) -> None:
        """Note that Meta knows of a call's end."""
        self._forget(wacid)
        self.store.ended(wacid)

    def _forget(self, wacid: str) -> None:
        self._live.pop(wacid, None)
        self.inbox.close(wacid)

    async def _say_goodbye(self, line: LineName, wacid: str, action: str) -> None:
        graph = self.lines[line].graph
        try:
            await (graph.reject if action == "reject" else graph.terminate)(wacid)
        except WhatsAppRefused as error:
            # It is over already, in most cases.
            log.info("whatsapp.goodbye_refused", extra={"meta_code": error.meta_code})
        except WhatsAppError as error:
            # Not marked as ended: the next start tries again.
            log.warning("whatsapp.goodbye_failed", extra={"meta_code": error.meta_code})
            return
        self.store.ended(wacid)


class _LineSignalling:
    """What the legs of one line ask of Meta (`legs.whatsapp.Signalling`)."""

    def __init__(self, calls: LiveCalls, line: LineName) -> None:
        self._calls = calls
        self._line = line
        self._graph = calls.lines[line].graph

    async def pre_accept(self, call_id: str, sdp: str) -> None:
        await self._graph.pre_accept(call_id, sdp)

    async def accept(self, call_id: str, sdp: str) -> None:
        await self._graph.accept(call_id, sdp, opaque=self._calls.opaque(call_id))

    async def reject(self, call_id: str) -> None:
        await self._calls.end(self._line, call_id, "reject")

    async def terminate(self, call_id: str) -> None:
        await self._calls.end(self._line, call_id, "terminate")


def ends_last(events: Iterable[Event]) -> list[Event]:
    """Put the ends last: why a call ends may be told after its end."""
    return sorted(events, key=lambda event: isinstance(event, Terminated))


def _reason(event: Terminated, *, inbound: bool) -> EndReason:
    if any(error.code in MEDIA_TIMEOUT_CODES for error in event.errors):
        return EndReason.MEDIA_TIMEOUT
    if event.failed and event.errors:
        return EndReason.FAILED
    if not inbound and not event.answered:
        return EndReason.NO_ANSWER
    return EndReason.REMOTE_HANGUP
