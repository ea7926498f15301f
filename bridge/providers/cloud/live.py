"""The live cloud calls of this node: webhook events to their legs, hang-ups to Meta."""

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
    """The live calls by Meta's ids, and the events of those that are not known yet."""

    def __init__(
        self,
        lines: Mapping[LineName, CloudLine],
        *,
        store: CloudStore,
        count: Callable[[str], None],
    ) -> None:
        """Must be called within the running loop; `count` counts events (`metrics.cloud.WEBHOOK_OUTCOMES`)."""
        self.lines = lines
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

    def set_opaque(self, line: LineName, wacid: str, opaque: str) -> None:
        """Set the data that Meta echoes in the webhooks of a call once it is accepted."""
        key = key_of_call(line, wacid)
        if (live := self._live.get(key)) is not None:
            self._live[key] = replace(live, opaque=opaque)

    def opaque(self, line: LineName, wacid: str) -> str:
        """Return the data that Meta echoes; empty for none."""
        live = self._live.get(key_of_call(line, wacid))
        return live.opaque if live is not None else ""

    def dispatch(self, line: LineName, event: CallWebhook) -> bool:
        """Pass an event to its call's leg; return False if the line has no such call here."""
        live = self._live.get(key_of_call(line, event.wacid))
        if live is None:
            return False
        leg = live.leg
        if isinstance(event, Connected):
            leg.set_answer(event.sdp)
        elif isinstance(event, StatusChanged):
            self._dispatch_status(line, leg, event.status)
        elif isinstance(event, Terminated):
            reason = _reason(event, inbound=live.inbound)
            codes = [error.code for error in event.errors]
            log.info("whatsapp.ended", extra={"reason": reason, "meta_codes": codes})
            leg.terminated(reason)
            self._over(line, event.wacid)
        return True

    def replay(self, line: LineName, wacid: str) -> None:
        """Pass the buffered events of a call to its leg."""
        for event in ends_last(self.inboxes[line].take(wacid)):
            self.dispatch(line, event)

    def signalling(self, line: LineName) -> Signalling:
        """Return what the legs of a line signal with."""
        return _LineSignalling(self, line)

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

    def _dispatch_status(self, line: LineName, leg: CloudLeg, status: Status) -> None:
        if status is Status.RINGING:
            leg.ringing()
        elif status is Status.ACCEPTED:
            leg.accepted()
        else:
            leg.rejected()
            self._over(line, leg.wacid)

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


class _LineSignalling:
    """Sends the requests of one line's legs (`legs.cloud.Signalling`)."""

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
    """Return a call's key, which contains its line: no line's webhooks can affect another's calls.

    No line's name contains a line break; an id, which the sender of a webhook writes, may.
    """
    return f"{line}\n{wacid}"


def ends_last(events: Iterable[Event]) -> list[Event]:
    """Return the events with the ends last: the reason of an end may come after it."""
    return sorted(events, key=lambda event: isinstance(event, Terminated))


def _reason(event: Terminated, *, inbound: bool) -> EndReason:
    if any(error.code in MEDIA_TIMEOUT_CODES for error in event.errors):
        return EndReason.MEDIA_TIMEOUT
    if event.failed and event.errors:
        return EndReason.FAILED
    if not inbound and not event.answered:
        return EndReason.NO_ANSWER
    return EndReason.REMOTE_HANGUP
