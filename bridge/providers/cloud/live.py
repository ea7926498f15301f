"""The live cloud calls of this node: webhook events to their legs, hang-ups to Meta."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from bridge.call.model import EndReason, LegId, LineName
from bridge.errors import WhatsAppError, WhatsAppRefused
from bridge.legs.cloud import CloudLeg, Connect, InboundCall, Signalling
from bridge.providers.cloud.inbox import Inbox
from bridge.stores.cloud import CloudStore
from bridge.tasks import Tasks
from bridge.whatsapp.graph import Graph, mask
from bridge.whatsapp.graph_errors import ended_by
from bridge.wire.cloud import (
    MEDIA_TIMEOUT_CODES,
    SIGNATURE_HEADER,
    CallWebhook,
    Connected,
    Status,
    StatusChanged,
    Terminated,
    WebhookEvent,
)

log = logging.getLogger(__name__)

Event = TypeVar("Event", bound=WebhookEvent)

SHUTDOWN_SECONDS: Final = 8.0
"""How long a shutdown waits for Meta to answer the last hang-ups."""


@dataclass(frozen=True, slots=True)
class CloudLine:
    """A line whose provider is `cloud`."""

    phone_number_id: str
    app_secret: str
    verify_token: str
    pre_accept: bool
    graph: Graph
    by_sip: bool = False
    """Whether the line's calls are signalled by SIP, not by webhooks and requests."""
    signature_header: str = SIGNATURE_HEADER


class MakeCloudLeg(Protocol):
    """Makes a leg that is not in a call yet."""

    def __call__(
        self,
        leg_id: LegId,
        *,
        signalling: Signalling,
        inbound: InboundCall | None = None,
        connect: Connect | None = None,
    ) -> CloudLeg:
        """Return the leg; raises `SdpError` for an offer that cannot be answered."""


@dataclass(frozen=True, slots=True)
class _Live:
    leg: CloudLeg
    inbound: bool


class LiveCalls:
    """The live calls by Meta's ids, and the events of those that are not known yet."""

    def __init__(
        self,
        lines: Mapping[LineName, CloudLine],
        *,
        make_leg: MakeCloudLeg,
        store: CloudStore,
        count: Callable[[str], None],
    ) -> None:
        """Must be called within the running loop; `count` counts events (`metrics.events.WEBHOOK_OUTCOMES`)."""
        self.lines = lines
        self.make_leg = make_leg
        self.store = store
        self.count = count
        now = asyncio.get_running_loop().time
        self.inboxes = {line: Inbox(now, count=count) for line in lines}
        """One a line, so that no line can displace the events of another."""
        self.tasks = Tasks()
        """Requests to Meta that outlive whoever made them."""
        self._live: dict[str, _Live] = {}
        """By `key_of_call`."""

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, key: object) -> bool:
        return key in self._live

    def add(self, line: LineName, wacid: str, leg: CloudLeg, *, inbound: bool) -> None:
        """Add a leg: it gets the events of its call from now on."""
        self._live[key_of_call(line, wacid)] = _Live(leg, inbound)

    def dispatch(self, line: LineName, event: CallWebhook) -> bool:
        """Pass an event to its call's leg; return False if the line has no such call here."""
        live = self._live.get(key_of_call(line, event.wacid))
        if live is None:
            return False
        leg = live.leg
        match event:
            case Connected():
                leg.set_answer(event.sdp)
            case StatusChanged(status=Status.RINGING):
                leg.ringing()
            case StatusChanged(status=Status.ACCEPTED):
                leg.accepted()
            case StatusChanged():
                leg.terminated(EndReason.REJECTED)
                self._over(line, leg.wacid)
            case Terminated():
                reason = _reason(event, inbound=live.inbound)
                codes = list(event.error_codes)
                log.info("whatsapp.ended", extra={"reason": reason, "meta_codes": codes})
                failed = reason is EndReason.FAILED
                leg.terminated(reason, ended_by(codes[0]) if failed else None)
                self._over(line, event.wacid)
        return True

    def suspend(self, line: LineName, wacid: str) -> Callable[[], None]:
        """Buffer the events of a call, as of one that is not known here; return what passes them to its leg again."""
        key = key_of_call(line, wacid)
        live = self._live.pop(key, None)

        def resume() -> None:
            if live is not None:
                self._live[key] = live
                self.replay(line, wacid)

        return resume

    def replay(self, line: LineName, wacid: str) -> None:
        """Pass the buffered events of a call to its leg."""
        for event in ends_last(self.inboxes[line].take(wacid)):
            self.dispatch(line, event)

    async def end(self, line: LineName, wacid: str, action: str) -> None:
        """End a call at Meta (`reject` or `terminate`); continues when the caller is cancelled."""
        self._forget(line, wacid)
        work = self._hang_up(line, wacid, action)
        await asyncio.shield(self.tasks.spawn(work, name=f"{action} {mask(wacid)}"))

    async def aclose(self) -> None:
        """Wait until Meta has answered the last hang-ups."""
        try:
            async with asyncio.timeout(SHUTDOWN_SECONDS):
                await self.tasks.wait()
        except TimeoutError:
            log.warning("whatsapp.hangups_unfinished")
        await self.tasks.aclose()

    def _over(self, line: LineName, wacid: str) -> None:
        """Note that Meta knows that a call has ended."""
        self._forget(line, wacid)
        self.store.ended(key_of_call(line, wacid))

    def _forget(self, line: LineName, wacid: str) -> None:
        self._live.pop(key_of_call(line, wacid), None)
        self.inboxes[line].close(wacid)

    async def _hang_up(self, line: LineName, wacid: str, action: str) -> None:
        graph = self.lines[line].graph
        try:
            await (graph.reject if action == "reject" else graph.terminate)(wacid)
        except WhatsAppRefused as error:
            # In most cases the call has ended already.
            log.info("whatsapp.hangup_refused", extra={"meta_code": error.meta_code})
        except WhatsAppError as error:
            # Not marked as ended: the next start retries.
            log.warning("whatsapp.hangup_failed", extra={"meta_code": error.meta_code})
            return
        self.store.ended(key_of_call(line, wacid))


class LineSignalling:
    """Sends the requests of one leg of a line (`legs.cloud.Signalling`)."""

    def __init__(self, calls: LiveCalls, line: LineName) -> None:
        self._calls = calls
        self._line = line
        self._graph = calls.lines[line].graph
        self.opaque = ""
        """What Meta echoes in the webhooks of the call once it is accepted."""

    async def pre_accept(self, call_id: str, sdp: str) -> None:
        """Send the answer ahead of `accept`."""
        await self._graph.pre_accept(call_id, sdp)

    async def accept(self, call_id: str, sdp: str) -> None:
        """Answer an inbound call."""
        await self._graph.accept(call_id, sdp, opaque=self.opaque)

    async def reject(self, call_id: str) -> None:
        """Refuse an inbound call."""
        await self._calls.end(self._line, call_id, "reject")

    async def terminate(self, call_id: str) -> None:
        """End a call."""
        await self._calls.end(self._line, call_id, "terminate")

    def suspend(self, call_id: str) -> Callable[[], None]:
        """Buffer what Meta reports of a call; return what passes it on again."""
        return self._calls.suspend(self._line, call_id)

    def snapshot(self) -> None:
        """Return nothing: what another process needs is in the database."""

    def abandon(self) -> None:
        """Do nothing: nothing is left here."""


def key_of_call(line: LineName, wacid: str) -> str:
    """Return a call's key, which contains its line: no line's webhooks can affect another's calls.

    No line's name contains a line break; an id, which the sender of a webhook writes, may.
    """
    return f"{line}\n{wacid}"


def ends_last(events: Iterable[Event]) -> list[Event]:
    """Return the events with the ends last: the reason of an end may come after it."""
    return sorted(events, key=lambda event: isinstance(event, Terminated))


def _reason(event: Terminated, *, inbound: bool) -> EndReason:
    if not MEDIA_TIMEOUT_CODES.isdisjoint(event.error_codes):
        return EndReason.MEDIA_TIMEOUT
    if event.failed and event.error_codes:
        return EndReason.FAILED
    if not inbound and not event.answered:
        return EndReason.NO_ANSWER
    return EndReason.REMOTE_HANGUP
