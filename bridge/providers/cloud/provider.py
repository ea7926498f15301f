"""WhatsApp calls over Meta's Cloud API: from webhooks to legs, and from legs to Meta.

Webhooks come in any order, doubled, and at any node. What is about a call that this node does not
know yet is held for a moment: Meta may tell of a call before it has answered our request for it, and
of its end before its beginning.
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
"""A call that a node does not know: its line, and Meta's id."""


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
        """Make a provider; must be called within the running loop.

        Args:
            lines: by name.
            legs: makes the legs.
            store: what outlives the process.
            count: counts webhooks' events by what became of them (`metrics.cloud.WEBHOOK_OUTCOMES`).
        """
        self.lines = lines
        self._by_number = {line.phone_number_id: name for name, line in lines.items()}
        self._count = count
        self.calls = LiveCalls(lines, store=store, count=count)
        self._dials = Dials(self.calls, legs)
        self._rings = Rings(self.calls, legs)

    def has(self, line: LineName) -> bool:
        """Whether the line's provider is `cloud`."""
        return line in self.lines

    def outbound_leg(self, call: CallFacts, number: str) -> DialledLeg:
        """Return a leg that has Meta ring the number (`legs.dial.Dialer`)."""
        return self._dials.leg(call, number)

    def take(
        self,
        events: Iterable[WebhookEvent],
        receiver: CallReceiver,
        *,
        numbers: frozenset[str],
        passed_on: bool = False,
    ) -> frozenset[UnknownCall]:
        """Act on what a webhook tells, without waiting.

        Args:
            events: of one delivery.
            receiver: takes the calls that ring us.
            numbers: ids of the numbers that its signature speaks for.
            passed_on: whether another node has it too, and counts what becomes of it.

        Returns:
            The calls that it is about and that this node does not know.
        """
        strange: set[UnknownCall] = set()
        for event in ends_last(events):
            line = self._by_number.get(event.phone_number_id)
            if line is None or event.phone_number_id not in numbers:
                outcome = "unknown_number"
            elif self.calls.inboxes[line].is_double(event):
                outcome = "duplicate"
            else:
                outcome = "taken"
                unknown = self._act(line, event, receiver)
                if unknown is not None:
                    self.calls.inboxes[line].hold(unknown.wacid, unknown, quietly=passed_on)
                    strange.add((line, unknown.wacid))
            _trace(event, outcome, line)
            if not passed_on:
                self._count(outcome)
        return frozenset(strange)

    def known_elsewhere(self, known: Iterable[UnknownCall]) -> None:
        """Note that another node has these calls."""
        for line, wacid in known:
            self.calls.inboxes[line].hush(wacid)

    async def permission(self, line: LineName, number: str) -> tuple[Permission, Reply | None]:
        """Ask Meta whether somebody may be called, and give what they last answered besides.

        Raises:
            InvalidState: the line's provider is another one.
            WhatsAppRefused, WhatsAppError.
        """
        found = await self._line(line).graph.permission(number)
        return found, await self.calls.store.reply(line, number)

    async def send_text(self, line: LineName, number: str, text: str) -> None:
        """Send a text message to somebody who rings or rang the line.

        Raises:
            WhatsAppRefused, WhatsAppError: it is not sent.
        """
        await self._line(line).graph.send_text(number, text)

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
        """Tell Meta of the end of the calls that this node's forerunner was cut off from.

        Of those that it was dialling Meta's id is not known; they are ended when they turn up.
        """
        for opaque, line in await self.calls.store.orphaned_dials(nodes=nodes, lines=self.lines):
            self._dials.suspect_orphan(line, opaque)
        for key, line in await self.calls.store.orphaned_calls(nodes=nodes):
            wacid = key.removeprefix(key_of_call(line, ""))
            if line in self.lines and key not in self.calls:
                log.info("whatsapp.recovered", extra={"wacid": mask(wacid)})
                self.spawn(self.calls.end(line, wacid, "terminate"), name="recover")

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Start work that the provider's end waits for."""
        return self.calls.tasks.spawn(work, name=name)

    async def aclose(self) -> None:
        """Wait for the last goodbyes to reach Meta."""
        await self.calls.aclose()

    def _line(self, line: LineName) -> CloudLine:
        try:
            return self.lines[line]
        except KeyError:
            raise InvalidState("this line's WhatsApp provider is not Meta's Cloud API") from None

    def _act(
        self, line: LineName, event: WebhookEvent, receiver: CallReceiver
    ) -> CallWebhook | None:
        """Act on an event; gives it back when it is about a call that is not known here."""
        if isinstance(event, PermissionReplied):
            self.calls.store.remember(line, event)
            log.info("whatsapp.permission", extra={"granted": event.granted})
        elif isinstance(event, Connected) and event.inbound:
            ring = self._rings.ring(line, event, receiver)
            self.spawn(ring, name=f"ring {mask(event.wacid)}")
        elif not self.calls.tell(line, event) and not self._dials.end_orphan(line, event):
            return event
        return None


def _trace(event: WebhookEvent, outcome: str, line: LineName | None) -> None:
    """Tell at debug level what a webhook's event was, and what became of it."""
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
