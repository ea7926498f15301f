"""WhatsApp calls over Meta's Cloud API: from webhooks to legs, and from legs to Meta.

Webhooks arrive in any order, repeatedly, and at any node. Events of a call that this node does not
know yet are buffered: Meta may report a call before it has answered our `connect`, and its end before
its beginning.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from bridge.call.model import CallDetails, CallFacts, LineName, Parties
from bridge.errors import BridgeError, HandoverRefused, InvalidState
from bridge.http.service_health import ServiceHealth
from bridge.legs.base import DialledLeg, PassedLeg, new_leg_id
from bridge.legs.cloud import CloudLeg, CloudSnapshot, InboundCall
from bridge.providers.base import CallReceiver
from bridge.providers.cloud.live import (
    CloudLine,
    LineSignalling,
    LiveCalls,
    MakeCloudLeg,
    ends_last,
    key_of_call,
)
from bridge.providers.cloud.outbound_calls import OutboundCalls
from bridge.stores.cloud import CloudStore
from bridge.whatsapp.graph import Graph, mask
from bridge.wire.cloud import (
    CallWebhook,
    Connected,
    Standby,
    StatusChanged,
    Terminated,
    WebhookEvent,
)
from bridge.wire.cloud_people import PermissionReplied, PersonWebhook, UserIdChanged
from bridge.wire.cloud_recordings import MediaAvailable
from bridge.wire.metadata import pack

log = logging.getLogger(__name__)

UnknownCall: TypeAlias = tuple[LineName, str]
"""Line and Meta's id of a call that a node does not know."""


STALE_SECONDS: Final = 90.0
"""Meta lets nobody ring for longer than a minute; an older `connect` is ignored."""


class CloudProvider:
    """The lines of this node whose provider is `cloud`."""

    name = "cloud"

    def __init__(
        self,
        lines: Mapping[LineName, CloudLine],
        *,
        legs: MakeCloudLeg,
        store: CloudStore,
        count: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        """Must be called within the running loop; `count` counts events (`metrics.events.WEBHOOK_OUTCOMES`)."""
        self.lines = lines
        self._by_number = {line.phone_number_id: name for name, line in lines.items()}
        self._count = count
        self.calls = LiveCalls(lines, make_leg=legs, store=store, count=count)
        self._outbound = OutboundCalls(self.calls)
        self.media_due = asyncio.Event()
        """Set when a file of Meta's waits for its download."""

    def has(self, line: LineName) -> bool:
        """Return whether the line's provider is `cloud`."""
        return line in self.lines

    def outbound_leg(self, call: CallFacts, number: str) -> DialledLeg:
        """Return a leg that has Meta ring the number (`legs.base.Dialer`)."""
        return self._outbound.leg(call, number)

    def restore(self, passed: PassedLeg) -> CloudLeg:
        """Return a leg that another process has passed to this one.

        Raises:
            HandoverRefused: it cannot be restored.
        """
        line, snapshot = passed.call.line, passed.read(CloudSnapshot)
        if line not in self.lines:
            raise HandoverRefused("the line's provider is another one here")
        signalling = LineSignalling(self.calls, line)
        signalling.opaque = passed.call.call_id
        leg = self.calls.make_leg(passed.leg_id, signalling=signalling)
        leg.restore(snapshot, passed.sockets)
        self.calls.add(line, leg.wacid, leg, inbound=snapshot.inbound)
        self.calls.replay(line, leg.wacid)
        return leg

    def handle_webhook(
        self,
        events: Iterable[WebhookEvent],
        receiver: CallReceiver,
        *,
        numbers: frozenset[str],
        forwarded: bool = False,
    ) -> frozenset[UnknownCall]:
        """Process the events of a webhook without waiting; return the calls that this node does not know.

        Args:
            events: of one delivery.
            receiver: takes inbound calls.
            numbers: ids of the numbers whose app has signed it.
            forwarded: another node has it too, and counts its events.
        """
        unknown_calls: set[UnknownCall] = set()
        for event in ends_last(events):
            line = self._by_number.get(event.phone_number_id)
            if line is None or event.phone_number_id not in numbers:
                outcome = "unknown_number"
            elif self.calls.inboxes[line].is_duplicate(event):
                outcome = "duplicate"
            elif isinstance(event, Standby):
                outcome = "standby"
                self.health(line).reported()
            elif self.lines[line].by_sip and isinstance(event, CallWebhook):
                outcome = "by_sip"
                self.health(line).reported()
            else:
                outcome = "taken"
                self.health(line).reported()
                unknown = self._act(line, event, receiver)
                if unknown is not None:
                    self.calls.inboxes[line].hold(unknown.wacid, unknown, elsewhere=forwarded)
                    unknown_calls.add((line, unknown.wacid))
            _trace(event, outcome, line)
            if not forwarded:
                self._count(outcome)
        return frozenset(unknown_calls)

    def mark_known_elsewhere(self, known: Iterable[UnknownCall]) -> None:
        """Note that another node knows these calls."""
        for line, wacid in known:
            self.calls.inboxes[line].mark_known_elsewhere(wacid)

    def graph(self, line: LineName) -> Graph:
        """Return a line's client of the Graph API.

        Raises:
            InvalidState: the line's provider is another one.
        """
        try:
            return self.lines[line].graph
        except KeyError:
            raise InvalidState("this line's WhatsApp provider is not Meta's Cloud API") from None

    def health(self, line: LineName) -> ServiceHealth:
        """Return how Meta answered the line's requests last."""
        return self.lines[line].graph.health

    async def recover(self) -> None:
        """End the calls that this node has taken over from a lost one.

        Meta's id of those that it was dialling is not known; they are ended when they turn up.
        """
        for opaque, line in await self.calls.store.orphaned_dials(self.lines):
            self._outbound.suspect_orphan(line, opaque)
        for key, line in await self.calls.store.orphaned_calls(self.lines):
            wacid = key.removeprefix(key_of_call(line, ""))
            if key not in self.calls:
                log.info("whatsapp.recovered", extra={"wacid": mask(wacid)})
                self.calls.tasks.spawn(self.calls.end(line, wacid, "terminate"), name="recover")

    def _act(
        self,
        line: LineName,
        event: CallWebhook | PersonWebhook | MediaAvailable,
        receiver: CallReceiver,
    ) -> CallWebhook | None:
        """Process an event; return it if its call is not known here."""
        if isinstance(event, PermissionReplied):
            self.calls.store.remember(line, event)
            log.info("whatsapp.permission", extra={"granted": event.granted})
        elif isinstance(event, UserIdChanged):
            self.calls.store.move(line, event)
            log.info("whatsapp.user_id_changed", extra={"line": line})
        elif isinstance(event, MediaAvailable):
            key = key_of_call(line, event.wacid)
            self.calls.store.note_media(line, key, event, then=self.media_due.set)
        elif isinstance(event, Connected) and event.inbound:
            self.calls.tasks.spawn(
                take_call(self.calls, line, event, receiver), name=f"ring {mask(event.wacid)}"
            )
        elif not self.calls.dispatch(line, event) and not self._outbound.end_orphan(line, event):
            return event
        return None


def _trace(event: WebhookEvent, outcome: str, line: LineName | None) -> None:
    """Log at debug level an event and its outcome."""
    if not log.isEnabledFor(logging.DEBUG):
        return
    match event:
        case PermissionReplied():
            kind = "permission"
        case UserIdChanged():
            kind = "user_id"
        case Standby():
            kind = "standby"
        case MediaAvailable():
            kind = event.kind.value
        case Terminated():
            kind = "terminate"
        case StatusChanged():
            kind = event.status.value
        case _:
            kind = "ring" if event.inbound else "answer"
    call = (
        mask(event.wacid)
        if isinstance(event, Connected | Terminated | StatusChanged | MediaAvailable)
        else ""
    )
    log.debug(
        "whatsapp.event",
        extra={"kind": kind, "outcome": outcome, "line": line or "", "wacid": call},
    )


async def take_call(
    calls: LiveCalls, line: LineName, event: Connected, receiver: CallReceiver
) -> None:
    """Begin a user's call, unless it is stale, has ended, or another node has it."""
    wacid = event.wacid
    if event.at and datetime.now(UTC).timestamp() - event.at > STALE_SECONDS:
        calls.count("stale")
        return
    inbox = calls.inboxes[line]
    if inbox.is_over(wacid):
        log.info("whatsapp.missed", extra={"wacid": mask(wacid)})
        inbox.close(wacid)
        return
    if not await calls.store.claim(key_of_call(line, wacid), line):
        calls.count("duplicate")
        return
    signalling = LineSignalling(calls, line)
    inbound = InboundCall(wacid, event.sdp, pre_accept=calls.lines[line].pre_accept)
    try:
        leg = calls.make_leg(new_leg_id(), signalling=signalling, inbound=inbound)
    except BridgeError as error:
        log.warning("whatsapp.inbound_refused", extra={"code": error.code})
        await calls.end(line, wacid, "reject")
        return
    calls.add(line, wacid, leg, inbound=True)
    announced = calls.lines[line].graph.announcements
    details = _details(event, {name: dict(what) for name, what in announced.items()})
    try:
        taken = await receiver.receive(line, event.caller.identity, leg, details)
    except BridgeError as error:
        log.warning("whatsapp.inbound_refused", extra={"code": error.code})
        await leg.aclose()
        return
    signalling.opaque = taken.facts.call_id
    calls.store.name(key_of_call(line, wacid), taken.facts.call_id)
    calls.replay(line, wacid)


def _details(event: Connected, announced: dict[str, Any]) -> CallDetails:
    known = {
        "profile_name": event.caller.name,
        "username": event.caller.username,
        "user_id": event.caller.user_id,
        "deeplink_payload": event.deeplink_payload,
        "cta_payload": event.cta_payload,
        "biz_opaque_callback_data": event.opaque,
    }
    return CallDetails(
        parties=Parties(event.caller.identity, event.called, "whatsapp", "whatsapp"),
        metadata=pack({name: text for name, text in known.items() if text} | announced),
    )
