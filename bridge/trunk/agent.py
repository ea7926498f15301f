"""The SIP user agent of a node: the core, its sockets and one timer.

Received messages go to the core, which asks `trunk.admission`; its outputs are performed in the loop's next
iteration. An outbound call tries the addresses of its trunk one after the other (RFC 3263 section 4.3), and its
leg sees one dialog.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bridge.metrics.sip import SipMetrics
from bridge.sip.boundary import (
    Closed,
    DialogId,
    Happened,
    Invitation,
    Invited,
    OptionsAnswered,
    Output,
    RegistrationChanged,
    Send,
    Target,
)
from bridge.sip.core import SipCore
from bridge.sip.events import Refused
from bridge.sip.snapshot import SipCallSnapshot
from bridge.tasks import Tasks
from bridge.trunk.admission import SipAdmission
from bridge.trunk.dialler import SipDialler
from bridge.trunk.dialog import AgentDialog
from bridge.trunk.interfaces import SipTransport
from bridge.trunk.targets import SipTargets
from bridge.trunk.trace import kind_of, trace
from bridge.trunk.trunk import OutboundCall, TrunkAddress, uri_of
from bridge.trunk.trunks import SipTrunks

USER_AGENT: Final = "webrtc-media-bridge"
HANG_UP_SECONDS: Final = 2.0
"""At shutdown, for the responses to BYE and to the REGISTER that remove the bindings."""
KEEP_SECONDS: Final = 120.0
"""Less than the time after which an idle connection is closed (`connections.IDLE_SECONDS`)."""


@dataclass(frozen=True, slots=True)
class IncomingInvite:
    """An inbound call that was admitted."""

    dialog: AgentDialog
    invitation: Invitation
    trunks: frozenset[str]
    """Names of the trunks it may come from: by its digest user, else by its address."""

    @property
    def sdp(self) -> str:
        """The offer; empty if ours is asked for."""
        return self.invitation.sdp

    @property
    def from_number(self) -> str:
        """User part of P-Asserted-Identity, else of From."""
        return self.invitation.asserted_user or self.invitation.from_user

    @property
    def to_number(self) -> str:
        """User part of the Request-URI."""
        return self.invitation.to_user


class SipAgent:
    """Makes and takes SIP calls; created within the running loop."""

    def __init__(
        self,
        transport: SipTransport,
        *,
        targets: SipTargets,
        admission: SipAdmission,
        counters: SipMetrics,
        node: int = 0,
    ) -> None:
        """`node` is the number of this process on its machine: ids of its dialogs begin with it."""
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._targets = targets
        self._admission = admission
        self._counters = counters
        self.core = SipCore(
            random=os.urandom,
            user_agent=USER_AGENT,
            local=transport.local,
            policy=admission,
            tag_prefix=f"{node:02x}-",
        )
        self.trunks = SipTrunks(self, targets, admission)
        self.on_invite: Callable[[IncomingInvite], None] = lambda invite: invite.dialog.refuse(480)
        """Takes inbound calls; must not raise."""
        self._dialogs: dict[DialogId, AgentDialog] = {}
        self._dialler = SipDialler(self, targets, self._dialogs, on_response=self.trunks.responded)
        self._timer: asyncio.TimerHandle | None = None
        self._scheduled = False
        self._over = False
        self._counted = {"malformed": 0, "foreign": 0, "overload": 0}
        """Drops of the core that have been counted."""
        transport.on_message = self._received
        transport.on_failure = self._failed

    async def run(self, opened: Callable[[], None] = lambda: None) -> None:
        """Make and take calls until cancelled; then send BYE, unregister, and close the sockets.

        `opened` is called once all listeners are open.

        Raises:
            SettingsError: an address to listen on cannot be bound.
        """
        tasks = Tasks()
        over: asyncio.Future[None] = self._loop.create_future()
        tasks.spawn(self._run_transport(opened, over), name="sip.sockets")
        tasks.spawn(self._keep_connections(), name="sip.keep")
        try:
            await over
        finally:
            await self._hang_up_all()
            await self._dialler.aclose()
            await tasks.aclose()
            self._over = True
            if self._timer is not None:
                self._timer.cancel()

    def dialog(self, trunk: TrunkAddress, call: OutboundCall) -> AgentDialog:
        """Return a dialog for a call over a trunk; its `invite` dials."""
        return AgentDialog(
            self,
            dial=lambda dialog, sdp: self._dialler.start(dialog, trunk, call, sdp),
            uri_of=lambda number: uri_of(trunk, number),
        )

    def restore(self, snapshot: SipCallSnapshot, trunk: TrunkAddress) -> AgentDialog:
        """Return the dialog that another node had; of one of another machine `AgentDialog.reach` follows."""
        self.core.restore(snapshot, trunk.credentials, self.now(), trunk.rules)
        dialog = AgentDialog(
            self, dialog=snapshot.id, uri_of=lambda number: uri_of(trunk, number), trunk=trunk
        )
        self._dialogs[snapshot.id] = dialog
        self._transport.adopt(snapshot.id)
        self.changed()
        return dialog

    # For dialogs and trunks

    @property
    def shared(self) -> bool:
        """Whether the sockets are shared with other nodes, to which dialogs can pass."""
        return self._transport.shared

    def claim(self, dialog: DialogId) -> None:
        """Take the messages of a suspended dialog again."""
        self.core.moving.discard(dialog)
        self._transport.adopt(dialog)

    def forget(self, dialog: DialogId) -> None:
        """Free a dialog that another node has."""
        self._dialogs.pop(dialog, None)
        self.core.forget(dialog)

    def now(self) -> float:
        """Return the loop's time."""
        return self._loop.time()

    def changed(self) -> None:
        """Perform the core's outputs in the loop's next iteration."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._perform)

    async def find(self, trunk: TrunkAddress) -> list[Target]:
        """Return the addresses of a trunk, which may from now on send requests within its calls.

        Raises:
            LookupFailed: it has none.
        """
        found = await self._targets.find(trunk.transport, trunk.host, trunk.port)
        self._admission.resolved(trunk.name, [target.host for target in found])
        return found

    async def connect(self, trunk: TrunkAddress, target: Target) -> Target:
        """Return a target with the socket to reach it by, or raise `OSError`."""
        return await self._transport.connect(
            target, owner=trunk.name, name=trunk.certificate or trunk.host
        )

    # What the sockets report

    def _received(self, data: bytes, source: Target) -> None:
        self._note("in", data, source)
        self._dialler.heard(source)
        self.core.receive(data, source, self.now())
        self.changed()

    def _failed(self, target: Target) -> None:
        self.core.transport_failed(target, self.now())
        self.trunks.connection_lost(target)
        self.changed()

    # The core's outputs

    def _perform(self) -> None:
        self._scheduled = False
        if self._over:
            return
        for output in self.core.take_output():
            self._handle(output)
        self._count_drops()
        if self._timer is not None:
            self._timer.cancel()
        due = self.core.next_timer()
        self._timer = None if due is None else self._loop.call_at(due, self._tick)

    def _count_drops(self) -> None:
        counters = self.core.counters
        for reason in self._counted:
            total: int = getattr(counters, reason)
            if more := total - self._counted[reason]:
                self._counted[reason] = total
                self._counters.dropped(reason, amount=more)

    def _tick(self) -> None:
        self._timer = None
        self.core.tick(self.now())
        self._perform()

    def _handle(self, output: Output) -> None:
        match output:
            case Send(data, target):
                self._note("out", data, target)
                self._transport.send(data, target)
            case Happened():
                self._happened(output)
            case Closed(dialog):
                if (known := self._dialogs.pop(dialog, None)) is not None:
                    self._dialler.done(known)
                    known.close()
            case Invited(dialog, invitation):
                self._invited(dialog, invitation)
            case RegistrationChanged():
                self.trunks.registration_changed(output)
            case OptionsAnswered():
                self.trunks.options_answered(output)

    def _happened(self, happened: Happened) -> None:
        dialog = self._dialogs.get(happened.dialog)
        if dialog is None:
            return
        event = happened.event
        if happened.failover and isinstance(event, Refused) and self._dialler.dial_next(dialog):
            del self._dialogs[happened.dialog]
            return
        self._dialler.done(dialog)
        dialog.on_event(event)

    def _invited(self, dialog: DialogId, invitation: Invitation) -> None:
        self._transport.mark_trusted(invitation.source)
        inbound = AgentDialog(self, dialog=dialog)
        self._dialogs[dialog] = inbound
        self.on_invite(IncomingInvite(inbound, invitation, self._admission.trunks_of(invitation)))

    def _note(self, direction: str, data: bytes, peer: Target) -> None:
        what = kind_of(data)
        self._counters.message(direction, what.method, what.code)
        trace("sip.received" if direction == "in" else "sip.sent", data, peer)

    # The end

    async def _run_transport(self, opened: Callable[[], None], over: asyncio.Future[None]) -> None:
        try:
            await self._transport.run(opened)
        except Exception as error:
            if not over.done():
                over.set_exception(error)

    async def _keep_connections(self) -> None:
        """Keep the connections of live calls, which have no messages, from being closed as idle."""
        while True:
            await asyncio.sleep(KEEP_SECONDS)
            for flow in self.core.connections():
                self._transport.keep(flow)

    async def _hang_up_all(self) -> None:
        await self.trunks.aclose()
        dialogs = tuple(self._dialogs.values())
        for dialog in dialogs:
            dialog.hang_up()
        self._perform()
        with suppress(TimeoutError):
            async with asyncio.timeout(HANG_UP_SECONDS):
                for dialog in dialogs:
                    await dialog.wait_closed()
