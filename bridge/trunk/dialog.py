"""One call's signalling over the SIP core, as its leg uses it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from bridge.errors import HandoverRefused, TrunkUnreachable
from bridge.sip.boundary import DialogId
from bridge.sip.call import SipCall
from bridge.sip.events import DialogEvent, Refused, TransferProgressed
from bridge.sip.message.values import ValueSyntaxError
from bridge.sip.snapshot import SipCallSnapshot
from bridge.tasks import wait_set
from bridge.trunk.interfaces import Agent
from bridge.trunk.trace import trace_id
from bridge.trunk.trunk import TrunkAddress

CLOSE_SECONDS: Final = 33.0
"""The core gives up after 32 s."""
ALTERNATE_SECONDS: Final = 30.0
"""Between attempts to reach the trunk for a BYE that may be sent later."""


class AgentDialog:
    """An INVITE dialog, ours or the far side's; after a failover an outbound one has another id in the core.

    No method but `wait_closed` waits, and none raises: `on_event` is called later, in order. A method that
    does not fit the dialog's state (`answer` after its end) does nothing.
    """

    def __init__(
        self,
        agent: Agent,
        *,
        dialog: DialogId | None = None,
        dial: Callable[["AgentDialog", str], None] | None = None,
        uri_of: Callable[[str], str] = str,
        trunk: TrunkAddress | None = None,
    ) -> None:
        """Make one for an inbound call (`dialog`) or for an outbound one, which `dial` dials.

        `uri_of` returns the URI of a number for REFER; `trunk` is that of another user agent's dialog.
        """
        self.on_event: Callable[[DialogEvent], None] = lambda _event: None
        """Set by the leg before its first method; must not raise."""
        self.current = dialog
        """The dialog in the core; None before it dials, and between two attempts."""
        self.gone = False
        """Whether the call has ended, so that no further address is tried."""
        self._agent = agent
        self._uri_of = uri_of
        self._dial = dial
        self._trunk = trunk
        self._closed = asyncio.Event()

    @property
    def trace_id(self) -> str:
        """The `sip_call` of its messages in the log (`sip.sent`, `sip.received`); empty while there is no dialog."""
        known = self.current and self._agent.core.dialog_name(self.current)
        return trace_id(known.partition(";")[0].encode("utf-8", "replace")) if known else ""

    @property
    def signalling_host(self) -> str:
        """The IP address that the far side signals from; empty while there is no dialog."""
        return self._agent.core.signalling_host(self.current) if self.current else ""

    def invite(self, sdp: str) -> None:
        """Send our INVITE with an offer; once."""
        dial, self._dial = self._dial, None
        if dial is not None and not self.gone:
            dial(self, sdp)

    def ring(self, sdp: str = "") -> None:
        """Send 180 to the INVITE, or 183 with early media."""
        self._do(lambda call, now: call.ring(now, sdp))

    def answer(self, sdp: str) -> None:
        """Answer the pending INVITE, re-INVITE or UPDATE with 200."""
        self._do(lambda call, now: call.answer(sdp, now))

    def refuse(self, code: int) -> None:
        """Answer the pending INVITE, re-INVITE or UPDATE with a final error."""
        self._do(lambda call, now: call.refuse(code, now))

    def reoffer(self, sdp: str) -> None:
        """Send a re-INVITE; one that crosses another is retried (RFC 3261 section 14.1)."""
        self._do(lambda call, now: call.reoffer(sdp, now))

    def send_digit(self, digit: str, seconds: float) -> None:
        """Send a digit by INFO (application/dtmf-relay)."""
        self._do(lambda call, now: call.send_digit(digit, seconds, now))

    def refer(self, target: str, replaces: "AgentDialog | None" = None) -> None:
        """Ask the far side to call a number or SIP URI instead; with `replaces`, to take over that dialog."""
        other = None if replaces is None else replaces._call()
        uri = self._uri_of(target)
        try:
            self._do(lambda call, now: call.refer(uri, now, other))
        except ValueSyntaxError:
            refused = TransferProgressed(400, final=True)
            asyncio.get_running_loop().call_soon(self.on_event, refused)

    def notify_transfer(self, code: int) -> None:
        """Report the progress of the call that their REFER asked for (NOTIFY, RFC 3515)."""
        self._do(lambda call, now: call.notify_transfer(code, now))

    def hang_up(self, code: int = 0) -> None:
        """End it by CANCEL, BYE, or the final response `code` (0: 480) to its INVITE."""
        self.gone = True
        if self.current is None:
            self._closed.set()
        self._do(lambda call, now: call.hang_up(now, code))

    async def wait_closed(self, seconds: float = CLOSE_SECONDS) -> None:
        """Wait for so long until the far side has acknowledged the end, which takes 32 s at most (RFC 3261 timer F)."""
        await wait_set(self._closed, seconds)

    async def reach(self) -> None:
        """Open a socket to the far side of another machine's dialog, and name it in our Contact.

        Raises:
            TrunkUnreachable: it cannot be reached.
        """
        call = self._call()
        target = None if call is None else call.target()
        if call is None or target is None or self._trunk is None:
            return
        try:
            found = await self._agent.connect(self._trunk, replace(target, connection=0))
        except OSError as error:
            raise TrunkUnreachable("the far side cannot be reached from here", 503) from error
        call.relocate(found.connection)

    async def find_alternate(self, trunk: TrunkAddress) -> None:
        """Have our BYE go to the trunk, over a connection of ours, where the far side's has ended by then.

        Tries again, until there is such a connection or the call has ended.
        """
        while not self.gone:
            try:
                target, *_ = await self._agent.find(trunk)
                target = await self._agent.connect(trunk, target)
            except OSError:  # LookupFailed is one
                await asyncio.sleep(ALTERNATE_SECONDS)
                continue
            if (call := self._call()) is not None:
                call.set_alternate(target)
            return

    # Passing it to another node

    def snapshot(self) -> SipCallSnapshot:
        """Return the dialog as data, for another node of the machine.

        Raises:
            HandoverRefused: something is under way in it, or its messages would not reach another node.
        """
        call = self._call()
        found = None if call is None or not self._agent.shared else call.snapshot()
        if found is None:
            raise HandoverRefused("the SIP dialog cannot move now")
        return found

    def suspend(self) -> None:
        """Drop requests in the dialog, which are sent again."""
        if self.current is not None:
            self._agent.core.moving.add(self.current)

    def resume(self) -> None:
        """Take requests again, also if another node has begun to."""
        if self.current is not None:
            self._agent.claim(self.current)

    def abandon(self) -> None:
        """Forget a suspended dialog that another node has; the far side is told nothing."""
        if self.current is not None:
            self._agent.forget(self.current)
        self.close()

    # For the agent

    def fail(self, refused: Refused) -> None:
        """Report that it could not be dialled."""
        self.gone, self.current = True, None
        self._closed.set()
        self.on_event(refused)

    def close(self) -> None:
        """Note that the core has freed the dialog."""
        self.gone = True
        self._closed.set()

    def _call(self) -> SipCall | None:
        return None if self.current is None else self._agent.core.call(self.current)

    def _do(self, command: Callable[[SipCall, float], None]) -> None:
        if not self._closed.is_set() and (call := self._call()) is not None:
            command(call, self._agent.now())
            self._agent.changed()
