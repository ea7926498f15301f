"""An INVITE of ours (RFC 3261 section 13.2), with forks, CANCEL and reliable provisional responses (RFC 3262)."""

from collections.abc import Callable
from itertools import count

from bridge.sip.boundary import Dial, Target
from bridge.sip.dialog import Dialog, outgoing_dialog
from bridge.sip.events import Answered, Refused, Ringing
from bridge.sip.exchange import Exchange
from bridge.sip.message.body import put_sdp, readable_sdp, sdp_of
from bridge.sip.message.headers import Headers
from bridge.sip.message.message import Request, Response, SipError
from bridge.sip.reason import NORMAL_CLEARING, refused
from bridge.sip.session import Phase, Session, ignore
from bridge.sip.session_timer import SessionTimer

MAX_FORKS = 16


class OutgoingInvite:
    """Our INVITE, to the ACK of its first 2xx; a 2xx of another fork is acknowledged and followed by BYE."""

    def __init__(
        self,
        session: Session,
        dial: Dial,
        timer: SessionTimer,
        on_confirmed: Callable[[float], None],
    ) -> None:
        self._session = session
        self._on_confirmed = on_confirmed
        self._dial = dial
        self._timer = timer
        next_number = count(int.from_bytes(session.stack.random(2), "big") + 1).__next__
        self._next_number = next_number
        self._forks: dict[str, Dialog] = {}
        self._early_sdp: dict[str, str] = {}
        self._reliable: dict[str, int] = {}
        """RSeq of the last reliable response of a fork."""
        self._acks: dict[str, tuple[bytes, Target]] = {}
        self._heard = False
        self._rang = False
        self._canceling = False
        self._canceled = False
        self._exchange = Exchange(
            session.stack, dial.target, session.digest, next_number, self._received
        )

    def start(self, now: float) -> None:
        """Send the INVITE."""
        self._session.local_sdp = self._dial.sdp
        self._exchange.send(self._invite(), now)

    def fork(self, tag: str) -> Dialog | None:
        """Return the dialog with a fork that rings or has answered."""
        return self._forks.get(tag)

    def hang_up(self, now: float) -> None:
        """Give up: send CANCEL, at once or after the first provisional response (RFC 3261 section 9.1)."""
        self._session.phase = Phase.ENDING
        self._canceling = True
        self._exchange.abandon(now)
        if self._exchange.proceeding:
            self._cancel(now)

    def _invite(self) -> Request:
        dial, stack = self._dial, self._session.stack
        fields = Headers()
        fields.put("From", f"<{dial.from_uri}>;tag={self._session.id}")
        fields.put("To", f"<{dial.uri}>")
        fields.put("Call-ID", stack.token(12))
        fields.put("CSeq", f"{self._next_number()} INVITE")
        fields.put("Contact", stack.contact(dial.target, dial.contact_user, dial.rules.host))
        self._session.put_abilities(fields)
        if dial.p_asserted_identity:
            fields.put("P-Asserted-Identity", f"<{dial.p_asserted_identity}>")
        if dial.replaces:
            fields.put("Replaces", dial.replaces)
        ours = {name for name, _ in fields}
        for name, value in dial.headers:
            if name.lower() not in ours:
                fields.add(name, value)
        self._timer.offer(fields)
        request = stack.request("INVITE", dial.uri, dial.target, fields)
        put_sdp(request, dial.sdp)
        return request

    def _received(self, response: Response, now: float) -> None:
        if response.code < 200:
            self._provisional(response, now)
        elif response.code < 300:
            self._accepted(response, now)
        else:
            self._refused(response, now)

    def _provisional(self, response: Response, now: float) -> None:
        self._heard = True
        if self._canceling:
            self._cancel(now)
            return
        tag = response.headers.to.tag
        if response.code == 100 or self._session.phase is not Phase.EARLY:
            return
        sdp = readable_sdp(response)
        self._rang = True
        if tag and not self._early_dialog(tag, response, sdp, now):
            return
        self._session.happened(Ringing(response.code, sdp))

    def _early_dialog(self, tag: str, response: Response, sdp: str, now: float) -> bool:
        """Note a fork; return whether the response is new."""
        if tag not in self._forks:
            if len(self._forks) >= MAX_FORKS:
                return False
            self._forks[tag] = outgoing_dialog(
                self._session.stack, self._exchange.request, response, self._dial.target
            )
        dialog = self._session.dialog = self._forks[tag]
        self._session.learn(response)
        number = response.headers.number("rseq")
        if "100rel" in response.headers.tokens("require") and number is not None:
            last = self._reliable.get(tag)
            if last is not None and number != last + 1:
                return False  # retransmitted, or out of order and to be retransmitted
            self._reliable[tag] = number
            self._acknowledge(dialog, response, number, now)
        if sdp:
            self._early_sdp[tag] = sdp
        return True

    def _acknowledge(self, dialog: Dialog, response: Response, number: int, now: float) -> None:
        prack = dialog.request("PRACK")
        cseq = response.headers.cseq
        prack.headers.put("RAck", f"{number} {cseq.number} {cseq.method}")
        self._session.send(prack, ignore, now, dialog)

    def _accepted(self, response: Response, now: float) -> None:
        tag = response.headers.to.tag
        if tag in self._acks:
            self._session.stack.transactions.send_once(*self._acks[tag])
            return
        if len(self._acks) >= MAX_FORKS:
            return
        first = not self._acks
        dialog = self._confirm(tag, response)
        try:
            sdp = sdp_of(response) or self._early_sdp.get(tag, "")
        except SipError:
            sdp = ""
        if not first:
            self._end_fork(dialog, now)
            return
        self._session.dialog = dialog
        self._session.learn(response)
        if self._canceling:
            self._session.send_bye(now)
        elif not sdp:
            self._session.happened(Refused(488, "Answered without SDP"))
            self._session.send_bye(now)
        else:
            self._session.phase = Phase.CONFIRMED
            self._session.remote_sdp = sdp
            self._timer.agreed(response, now)
            self._session.happened(Answered(sdp))
            self._on_confirmed(now)

    def _confirm(self, tag: str, response: Response) -> Dialog:
        """Acknowledge a 2xx, and return its dialog."""
        invite = self._exchange.request
        dialog = outgoing_dialog(self._session.stack, invite, response, self._dial.target)
        early = self._forks.get(tag)
        if early:
            dialog.local_seq = max(early.local_seq, dialog.local_seq)
            dialog.remote_seq = early.remote_seq
        self._forks[tag] = dialog
        ack = dialog.request("ACK", number=invite.headers.cseq.number)
        for name in ("authorization", "proxy-authorization"):
            ack.headers.put(name, *invite.headers.all(name))
        self._acks[tag] = bytes(ack), dialog.target()
        self._session.stack.transactions.send_once(*self._acks[tag])
        return dialog

    def _end_fork(self, dialog: Dialog, now: float) -> None:
        """End the call that another fork has answered."""
        bye = dialog.request("BYE")
        bye.headers.put("Reason", NORMAL_CLEARING)
        self._session.send(bye, ignore, now, dialog)

    def _refused(self, response: Response, now: float) -> None:
        if response.code == 422 and not self._canceling and self._timer.rejected(response):
            again = self._exchange.again()
            self._timer.offer(again.headers)
            self._exchange.send(again, now)
            return
        if self._acks:
            return
        unserved = response.code == 503 or (response.local and not self._heard)
        self._session.happened(refused(response), failover=unserved and not self._rang)
        self._session.close(now)

    def _cancel(self, now: float) -> None:
        if self._canceled or self._exchange.done:
            return
        self._canceled = True
        self._session.cancel(self._exchange, now)
