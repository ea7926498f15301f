"""The signalling of one SIP call, as its leg uses it."""

from collections.abc import Callable
from typing import Protocol

from bridge.sip.events import DialogEvent


class SipDialog(Protocol):
    """One INVITE dialog, ours or the far side's.

    No method but `wait_closed` waits, and none raises: `on_event` is called later, in order. A method that
    does not fit the dialog's state (`answer` after its end) does nothing.
    """

    on_event: Callable[[DialogEvent], None]
    """Set by the leg before its first method; must not raise."""

    @property
    def trace_id(self) -> str:
        """The `sip_call` of its messages in the log (`sip.sent`, `sip.received`); empty while there is no dialog."""

    @property
    def signalling_host(self) -> str:
        """The IP address that the far side signals from; empty while there is no dialog."""

    def invite(self, sdp: str) -> None:
        """Send our INVITE with an offer; once."""

    def ring(self, sdp: str = "") -> None:
        """Send 180 to the INVITE, or 183 with early media."""

    def answer(self, sdp: str) -> None:
        """Answer the pending INVITE, re-INVITE or UPDATE with 200."""

    def refuse(self, code: int) -> None:
        """Answer the pending INVITE, re-INVITE or UPDATE with a final error."""

    def reoffer(self, sdp: str) -> None:
        """Send a re-INVITE; one that crosses another is retried (RFC 3261 section 14.1)."""

    def send_digit(self, digit: str, seconds: float) -> None:
        """Send a digit by INFO (application/dtmf-relay)."""

    def refer(self, target: str, replaces: "SipDialog | None" = None) -> None:
        """Ask the far side to call a number or SIP URI instead; with `replaces`, to take over that dialog."""

    def notify_transfer(self, code: int) -> None:
        """Report the progress of the call that their REFER asked for (NOTIFY, RFC 3515)."""

    def hang_up(self, code: int = 0) -> None:
        """End it by CANCEL, BYE, or the final response `code` (0: 480) to its INVITE."""

    async def wait_closed(self) -> None:
        """Wait until the far side has acknowledged the end, 32 s at most (RFC 3261 timer F)."""
