"""WhatsApp calls over Meta's Cloud API: from webhooks to legs, and from legs to Meta.

Webhooks come in any order, doubled, and at any node. What is about a call that this node does not
know yet is held for a moment: Meta may tell of a call before it has answered our request for it, and
of its end before its beginning.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from bridge.call.model import CallDetails, EndReason, LegId, LineName, Parties
from bridge.errors import BridgeError, InvalidState, WhatsAppError, WhatsAppRefused
from bridge.legs.base import Leg
from bridge.legs.dial import DialOrder
from bridge.legs.whatsapp import Ring, Signalling, WhatsAppLeg
from bridge.net.graph import Graph, mask
from bridge.net.whatsapp_store import Reply, WhatsAppStore
from bridge.node.tasks import Tasks
from bridge.node.whatsapp_inbox import Inbox
from bridge.wire.whatsapp import (
    MEDIA_TIMEOUT_CODES,
    Connected,
    Permission,
    PermissionReplied,
    Status,
    StatusChanged,
    Terminated,
    WebhookEvent,
)

log = logging.getLogger(__name__)

STALE_SECONDS: Final = 90.0
"""Meta lets nobody ring longer than a minute; a `connect` older than this rings nobody."""
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


@dataclass(frozen=True, slots=True)
class _Live:
    leg: WhatsAppLeg
    inbound: bool


class Receiver(Protocol):
    """Takes calls that ring us; `node.manager.Manager` is one."""

    async def receive(
        self,
        line: LineName,
        number: str,
        far: Callable[[LegId], Leg],
        details: CallDetails | None = None,
    ) -> object:
        """Take a call; raises `LimitExceeded`."""
        ...


class MakeLeg(Protocol):
    """Makes a leg that is not in a call yet."""

    def __call__(
        self, leg_id: LegId, *, signalling: Signalling, ring: Ring | None = None
    ) -> WhatsAppLeg:
        """Give the leg; raises `SdpError` for a ring that cannot be answered."""
        ...


class CloudProvider:
    """The lines of this node whose provider is `cloud`."""

    def __init__(
        self,
        lines: Mapping[LineName, CloudLine],
        *,
        legs: MakeLeg,
        store: WhatsAppStore,
        count: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        """Make a provider.

        Args:
            lines: by name.
            legs: makes the legs.
            store: what outlives the process.
            count: counts webhooks' events by what became of them (`whatsapp_metrics.WEBHOOK_OUTCOMES`).
        """
        self.lines = lines
        self._by_number = {line.phone_number_id: name for name, line in lines.items()}
        self._make_leg = legs
        self._store = store
        self._count = count
        self._live: dict[str, _Live] = {}
        self._inbox = Inbox(asyncio.get_running_loop().time, count=count)
        self._tasks = Tasks()

    def has(self, line: LineName) -> bool:
        """Whether the line's provider is `cloud`."""
        return line in self.lines

    def knows(self, wacid: str) -> bool:
        """Whether a call of Meta's is live on this node."""
        return wacid in self._live

    async def dial(self, line: LineName, number: str, leg_id: LegId, order: DialOrder) -> Leg:
        """Ring a number; comes back once Meta has taken the call (`legs.dial.Dialer`).

        Raises:
            PermissionRequired, WhatsAppRefused, WhatsAppError, LimitExceeded.
        """
        leg = self._make_leg(leg_id, signalling=_LineSignalling(self, line))
        try:
            offer = await leg.offer()
        except BaseException:
            await leg.aclose()
            raise
        # Shielded: once Meta is asked to ring somebody, the call's id must not get lost.
        failed: list[BridgeError] = []
        work = self._connect(line, leg, number, _Order(offer, _opaque(order), failed))
        asked = self.spawn(work, name=f"connect {leg_id}")
        try:
            await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(lambda _: self.spawn(leg.aclose(), name=f"abandon {leg_id}"))
            raise
        if failed:
            await leg.aclose()
            raise failed[0]
        return leg

    def take(
        self, events: Iterable[WebhookEvent], manager: Receiver, *, numbers: frozenset[str]
    ) -> bool:
        """Act on what a webhook tells, without waiting.

        Args:
            events: of one delivery.
            manager: takes the calls that ring us.
            numbers: ids of the numbers that its signature speaks for.

        Returns:
            Whether any of it is about a call that this node does not know.
        """
        strange = False
        for event in _ends_last(events):
            line = self._by_number.get(event.phone_number_id)
            if line is None or event.phone_number_id not in numbers:
                self._count("unknown_number")
            elif self._inbox.is_double(event):
                self._count("duplicate")
            else:
                self._count("taken")
                strange |= not self._act(line, event, manager)
        return strange

    async def permission(self, line: LineName, number: str) -> tuple[Permission, Reply | None]:
        """Ask Meta whether somebody may be called, and give what they last answered besides.

        Raises:
            InvalidState: the line's provider is another one.
            WhatsAppRefused, WhatsAppError.
        """
        found = await self._line(line).graph.permission(number)
        return found, await self._store.reply(line, number)

    async def ask_permission(
        self, line: LineName, number: str, *, text: str, template: Mapping[str, Any] | None
    ) -> str:
        """Ask somebody to permit calls, and give the message's id.

        Raises:
            InvalidState: the line's provider is another one.
            WhatsAppRefused, WhatsAppError.
        """
        return await self._line(line).graph.ask_permission(number, text=text, template=template)

    async def recover(self, *, nodes: int) -> None:
        """Tell Meta of the end of the calls that this node's forerunner was cut off from."""
        for wacid, line in await self._store.left_over(nodes=nodes):
            if line in self.lines and wacid not in self._live:
                log.info("whatsapp.recovered", extra={"wacid": mask(wacid)})
                self.spawn(self._say_goodbye(line, wacid, "terminate"), name="recover")

    async def aclose(self) -> None:
        """Wait for the last goodbyes to reach Meta."""
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._tasks.wait()
        except TimeoutError:
            log.warning("whatsapp.goodbyes_lost")
        await self._tasks.aclose()

    async def say_goodbye(self, line: LineName, wacid: str, action: str) -> None:
        """End a call at Meta's (`reject` or `terminate`); goes on when the waiter is cancelled."""
        self._forget(wacid)
        work = self._say_goodbye(line, wacid, action)
        await asyncio.shield(self.spawn(work, name=f"{action} {mask(wacid)}"))

    def _line(self, line: LineName) -> CloudLine:
        try:
            return self.lines[line]
        except KeyError:
            raise InvalidState("this line's WhatsApp provider is not Meta's Cloud API") from None

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> "asyncio.Task[None]":
        """Start work that the provider's end waits for."""
        return self._tasks.spawn(work, name=name)

    async def _connect(
        self, line: LineName, leg: WhatsAppLeg, number: str, order: "_Order"
    ) -> None:
        graph = self.lines[line].graph
        try:
            leg.wacid = await graph.connect(number, order.sdp, opaque=order.opaque)
            self._live[leg.wacid] = _Live(leg, inbound=False)
            await self._store.claim(leg.wacid, line)
        except BridgeError as error:
            order.failed.append(error)
            return
        self._replay(leg.wacid)

    def _act(self, line: LineName, event: WebhookEvent, manager: Receiver) -> bool:
        """Act on an event; False when it is about a call that is not known here."""
        if isinstance(event, PermissionReplied):
            self._store.remember(line, event)
            log.info("whatsapp.permission", extra={"granted": event.granted})
        elif isinstance(event, Connected) and event.inbound:
            self.spawn(self._ring(line, event, manager), name=f"ring {mask(event.wacid)}")
        elif (live := self._live.get(event.wacid)) is not None:
            self._tell(live, event)
        else:
            self._inbox.hold(event.wacid, event)
            return False
        return True

    async def _ring(self, line: LineName, event: Connected, manager: Receiver) -> None:
        """Let a call that rings us ring the line."""
        if event.at and datetime.now(UTC).timestamp() - event.at > STALE_SECONDS:
            self._count("stale")
            return
        if self._inbox.is_over(event.wacid):
            log.info("whatsapp.missed", extra={"wacid": mask(event.wacid)})
            self._inbox.close(event.wacid)
            return
        if not await self._store.claim(event.wacid, line):
            self._count("duplicate")
            return
        try:
            leg = self._ringing(line, event)
        except BridgeError as error:
            log.warning("whatsapp.not_taken", extra={"code": error.code})
            await self.say_goodbye(line, event.wacid, "reject")
            return

        def far(leg_id: LegId) -> Leg:
            leg.leg_id = leg_id
            return leg

        self._live[event.wacid] = _Live(leg, inbound=True)
        try:
            await manager.receive(line, event.caller.identity, far, _details(event))
        except BridgeError as error:
            log.warning("whatsapp.not_taken", extra={"code": error.code})
            await leg.aclose()
            return
        self._replay(event.wacid)

    def _ringing(self, line: LineName, event: Connected) -> WhatsAppLeg:
        ring = Ring(event.wacid, event.sdp, pre_accept=self.lines[line].pre_accept)
        signalling = _LineSignalling(self, line)
        return self._make_leg(LegId("leg_ringing"), signalling=signalling, ring=ring)

    def _tell(self, live: _Live, event: WebhookEvent) -> None:
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
        self._store.ended(wacid)

    def _forget(self, wacid: str) -> None:
        self._live.pop(wacid, None)
        self._inbox.close(wacid)

    def _replay(self, wacid: str) -> None:
        """Tell a leg what was held for it."""
        for event in _ends_last(self._inbox.give(wacid)):
            if (live := self._live.get(wacid)) is not None:
                self._tell(live, event)

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
        self._store.ended(wacid)


@dataclass(frozen=True, slots=True)
class _Order:
    sdp: str
    opaque: str
    failed: list[BridgeError]
    """Filled in where Meta does not ring the number."""


class _LineSignalling:
    """What the legs of one line ask of Meta (`legs.whatsapp.Signalling`)."""

    def __init__(self, provider: CloudProvider, line: LineName) -> None:
        self._provider = provider
        self.line = line

    async def pre_accept(self, call_id: str, sdp: str) -> None:
        await self._provider.lines[self.line].graph.pre_accept(call_id, sdp)

    async def accept(self, call_id: str, sdp: str) -> None:
        await self._provider.lines[self.line].graph.accept(call_id, sdp)

    async def reject(self, call_id: str) -> None:
        await self._provider.say_goodbye(self.line, call_id, "reject")

    async def terminate(self, call_id: str) -> None:
        await self._provider.say_goodbye(self.line, call_id, "terminate")


def _ends_last(events: Iterable[WebhookEvent]) -> list[WebhookEvent]:
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


def _opaque(order: DialOrder) -> str:
    """What Meta shall give back with each webhook: the caller's own word, else the call's id."""
    given = order.details.metadata.get("biz_opaque_callback_data")
    return given if isinstance(given, str) and given else order.call_id


def _details(event: Connected) -> CallDetails:
    known = {
        "profile_name": event.caller.name,
        "username": event.caller.username,
        "user_id": event.caller.user_id,
        "deeplink_payload": event.deeplink_payload,
        "cta_payload": event.cta_payload,
        "biz_opaque_callback_data": event.opaque,
    }
    return CallDetails(
        parties=Parties(from_=event.caller.identity, from_channel="whatsapp"),
        metadata={name: text for name, text in known.items() if text},
    )
