"""The calls of Meta's that are live on this node: what webhooks tell them, and how Meta learns ends."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from bridge.call.model import EndReason, LegId, LineName
from bridge.errors import WhatsAppError, WhatsAppRefused
from bridge.legs.cloud import CloudLeg, Connect, InboundCall, Signalling
from bridge.net.cloud_store import CloudStore
from bridge.net.graph import Graph, mask
from bridge.providers.cloud.inbox import Inbox
from bridge.tasks import Tasks
from bridge.wire.cloud import (
    MEDIA_TIMEOUT_CODES,
    CallWebhook,
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
        self,
        leg_id: LegId,
        *,
        signalling: Signalling,
        inbound: InboundCall | None = None,
        connect: Connect | None = None,
    ) -> CloudLeg:
        """Return the leg; raises `SdpError` for a ring that cannot be answered."""
        ...


@dataclass(frozen=True, slots=True)
class _Live:
    leg: CloudLeg
    inbound: bool
    opaque: str = ""


class LiveCalls:
    """The live calls by Meta's ids, and what waits for those that are not known yet."""

    def __init__(
        self,
        lines: Mapping[LineName, CloudLine],
        *,
        store: CloudStore,
        count: Callable[[str], None],
    ) -> None:
        """Make the table; must be called within the running loop.

        Args:
            lines: by name.
            store: what outlives the process.
            count: counts webhooks' events by what became of them (`metrics.cloud.WEBHOOK_OUTCOMES`).
        """
        self.lines = lines
        self.store = store
        self.count = count
        now = asyncio.get_running_loop().time
        self.inboxes = {line: Inbox(now, count=count) for line in lines}
        """Each line's own: what comes for one takes nothing from another."""
        self.tasks = Tasks()
        """What is asked of Meta while nobody waits."""
        self._live: dict[str, _Live] = {}
        """By `key_of_call`."""

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, key: object) -> bool:
        return key in self._live

    def add(self, line: LineName, wacid: str, leg: CloudLeg, *, inbound: bool) -> None:
        """Take a leg in: what webhooks of its line tell of the call goes to it from now on."""
        self._live[key_of_call(line, wacid)] = _Live(leg, inbound)

    def name(self, line: LineName, wacid: str, opaque: str) -> None:
        """Say what Meta shall give back in the webhooks of a call once it is accepted."""
        key = key_of_call(line, wacid)
        if (live := self._live.get(key)) is not None:
            self._live[key] = replace(live, opaque=opaque)

    def opaque(self, line: LineName, wacid: str) -> str:
        """Give what Meta shall give back; empty for nothing."""
        live = self._live.get(key_of_call(line, wacid))
        return live.opaque if live is not None else ""

    def tell(self, line: LineName, event: CallWebhook) -> bool:
        """Tell a leg what happened to its call; False when the line has no such call here."""
        live = self._live.get(key_of_call(line, event.wacid))
        if live is None:
            return False
        leg = live.leg
        if isinstance(event, Connected):
            leg.set_answer(event.sdp)
        elif isinstance(event, StatusChanged):
            self._tell_status(line, leg, event.status)
        elif isinstance(event, Terminated):
            reason = _reason(event, inbound=live.inbound)
            codes = [error.code for error in event.errors]
            log.info("whatsapp.ended", extra={"reason": reason, "meta_codes": codes})
            leg.terminated(reason)
            self._over(line, event.wacid)
        return True

    def replay(self, line: LineName, wacid: str) -> None:
        """Tell a leg what was held for it."""
        for event in ends_last(self.inboxes[line].give(wacid)):
            self.tell(line, event)

    def signalling(self, line: LineName) -> Signalling:
        """Give what the legs of a line ask of Meta."""
        return _LineSignalling(self, line)

    async def end(self, line: LineName, wacid: str, action: str) -> None:
        """End a call at Meta's (`reject` or `terminate`); goes on when the waiter is cancelled."""
        self._forget(line, wacid)
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

    def _tell_status(self, line: LineName, leg: CloudLeg, status: Status) -> None:
        if status is Status.RINGING:
            leg.ringing()
        elif status is Status.ACCEPTED:
            leg.accepted()
        else:
            leg.rejected()
            self._over(line, leg.wacid)

    def _over(self, line: LineName, wacid: str) -> None:
        """Note that Meta knows of a call's end."""
        self._forget(line, wacid)
        self.store.ended(key_of_call(line, wacid))

    def _forget(self, line: LineName, wacid: str) -> None:
        self._live.pop(key_of_call(line, wacid), None)
        self.inboxes[line].close(wacid)

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
        self.store.ended(key_of_call(line, wacid))


class _LineSignalling:
    """What the legs of one line ask of Meta (`legs.cloud.Signalling`)."""

    def __init__(self, calls: LiveCalls, line: LineName) -> None:
        self._calls = calls
        self._line = line
        self._graph = calls.lines[line].graph

    async def pre_accept(self, call_id: str, sdp: str) -> None:
        await self._graph.pre_accept(call_id, sdp)

    async def accept(self, call_id: str, sdp: str) -> None:
        await self._graph.accept(call_id, sdp, opaque=self._calls.opaque(self._line, call_id))

    async def reject(self, call_id: str) -> None:
        await self._calls.end(self._line, call_id, "reject")

    async def terminate(self, call_id: str) -> None:
        await self._calls.end(self._line, call_id, "terminate")


def key_of_call(line: LineName, wacid: str) -> str:
    """Return by what a call is known here: one line's webhooks tell nothing of another's calls.

    No line's name holds a line break; an id, which the sender of a webhook writes, may.
    """
    return f"{line}\n{wacid}"


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
