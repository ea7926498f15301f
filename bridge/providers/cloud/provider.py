"""WhatsApp calls over Meta's Cloud API: from webhooks to legs, and from legs to Meta.

Webhooks arrive in any order, repeatedly, and at any node. Events of a call that this node does not
know yet are buffered: Meta may report a call before it has answered our `connect`, and its end before
its beginning.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeAlias

from bridge.call.model import CallFacts, LineName
from bridge.errors import InvalidState
from bridge.legs.base import DialledLeg
from bridge.net.cloud_store import CloudStore, Reply
from bridge.net.graph import mask
from bridge.providers.base import CallReceiver
from bridge.providers.cloud.dials import Dials
from bridge.providers.cloud.live import CloudLine, LiveCalls, MakeLeg, ends_last, key_of_call
from bridge.providers.cloud.rings import Rings
from bridge.wire.cloud import (
    CallWebhook,
    Connected,
    Permission,
    PermissionReplied,
    StatusChanged,
    Terminated,
    WebhookEvent,
)

log = logging.getLogger(__name__)

UnknownCall: TypeAlias = tuple[LineName, str]
"""Line and Meta's id of a call that a node does not know."""


class CloudProvider:
    """The lines of this node whose provider is `cloud`."""

    def __init__(
        self,
        lines: Mapping[LineName, CloudLine],
        *,
        legs: MakeLeg,
        store: CloudStore,
        count: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        """Must be called within the running loop; `count` counts events (`metrics.cloud.WEBHOOK_OUTCOMES`)."""
        self.lines = lines
        self._by_number = {line.phone_number_id: name for name, line in lines.items()}
        self._count = count
        self.calls = LiveCalls(lines, store=store, count=count)
        self._dials = Dials(self.calls, legs)
        self._rings = Rings(self.calls, legs)

    def has(self, line: LineName) -> bool:
        """Return whether the line's provider is `cloud`."""
        return line in self.lines

    def outbound_leg(self, call: CallFacts, number: str) -> DialledLeg:
        """Return a leg that has Meta ring the number (`legs.dial.Dialer`)."""
        return self._dials.leg(call, number)

    def handle_webhook(
        self,
        events: Iterable[WebhookEvent],
        receiver: CallReceiver,
        *,
        numbers: frozenset[str],
        forwarded: bool = False,
    ) -> frozenset[UnknownCall]:
        """Process the events of a webhook, without waiting.

        Args:
            events: of one delivery.
            receiver: takes inbound calls.
            numbers: ids of the numbers whose app has signed it.
            forwarded: another node has it too, and counts its events.

        Returns:
            The calls in it that this node does not know.
        """
        unknown_calls: set[UnknownCall] = set()
        for event in ends_last(events):
            line = self._by_number.get(event.phone_number_id)
            if line is None or event.phone_number_id not in numbers:
                outcome = "unknown_number"
            elif self.calls.inboxes[line].is_duplicate(event):
                outcome = "duplicate"
            else:
                outcome = "taken"
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

    async def permission(self, line: LineName, number: str) -> tuple[Permission, Reply | None]:
        """Return whether Meta allows us to call somebody, and what they last answered.

        Raises:
            InvalidState: the line's provider is another one.
            WhatsAppRefused, WhatsAppError.
        """
        found = await self._line(line).graph.permission(number)
        return found, await self.calls.store.reply(line, number)

    async def send_text(self, line: LineName, number: str, text: str) -> None:
        """Send a text message to somebody who calls or called the line.

        Raises:
            WhatsAppRefused, WhatsAppError: it was not sent.
        """
        await self._line(line).graph.send_text(number, text)

    async def ask_permission(
        self, line: LineName, number: str, *, text: str, template: Mapping[str, Any] | None
    ) -> str:
        """Ask somebody to permit calls, and return the message's id.

        Raises:
            InvalidState: the line's provider is another one.
            WhatsAppRefused, WhatsAppError.
        """
        return await self._line(line).graph.ask_permission(number, text=text, template=template)

    async def recover(self, *, nodes: int) -> None:
        """End the calls that the killed previous process of this node left.

        Meta's id of those that it was dialling is not known; they are ended when they turn up.
        """
        for opaque, line in await self.calls.store.orphaned_dials(nodes=nodes, lines=self.lines):
            self._dials.suspect_orphan(line, opaque)
        for key, line in await self.calls.store.orphaned_calls(nodes=nodes):
            wacid = key.removeprefix(key_of_call(line, ""))
            if line in self.lines and key not in self.calls:
                log.info("whatsapp.recovered", extra={"wacid": mask(wacid)})
                self.spawn(self.calls.end(line, wacid, "terminate"), name="recover")

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Start work that `aclose` waits for."""
        return self.calls.tasks.spawn(work, name=name)

    async def aclose(self) -> None:
        """Wait until Meta has answered the last hang-ups."""
        await self.calls.aclose()

    def _line(self, line: LineName) -> CloudLine:
        try:
            return self.lines[line]
        except KeyError:
            raise InvalidState("this line's WhatsApp provider is not Meta's Cloud API") from None

    def _act(
        self, line: LineName, event: WebhookEvent, receiver: CallReceiver
    ) -> CallWebhook | None:
        """Process an event; return it if its call is not known here."""
        if isinstance(event, PermissionReplied):
            self.calls.store.remember(line, event)
            log.info("whatsapp.permission", extra={"granted": event.granted})
        elif isinstance(event, Connected) and event.inbound:
            ring = self._rings.ring(line, event, receiver)
            self.spawn(ring, name=f"ring {mask(event.wacid)}")
        elif not self.calls.dispatch(line, event) and not self._dials.end_orphan(line, event):
            return event
        return None


def _trace(event: WebhookEvent, outcome: str, line: LineName | None) -> None:
    """Log at debug level an event and its outcome."""
    if not log.isEnabledFor(logging.DEBUG):
        return
    kind, call = "permission", ""
    if not isinstance(event, PermissionReplied):
        call = mask(event.wacid)
        kind = "ring" if isinstance(event, Connected) and event.inbound else "answer"
    if isinstance(event, Terminated):
        kind = "terminate"
    elif isinstance(event, StatusChanged):
        kind = event.status.value
    log.debug(
        "whatsapp.event",
        extra={"kind": kind, "outcome": outcome, "line": line or "", "wacid": call},
    )
