"""Dispatch of received messages: to a transaction, a call, a new call, or a stateless response."""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Set

from bridge.sip.boundary import DialogId, InboundPolicy, Invitation, Target
from bridge.sip.call import CHANGES, SipCall
from bridge.sip.dialog import Dialog
from bridge.sip.inbound import AdmissionControl, StatelessReply, check_request, read_invitation
from bridge.sip.message.message import Request, Response, SipError, parse, reply
from bridge.sip.session import Phase
from bridge.sip.session_timer import check_interval
from bridge.sip.stack import ALLOW, SUPPORTED, Stack
from bridge.sip.transaction.server import ServerTransaction, response_target
from bridge.sip.transfer import replaces_parts

MAX_CALLS = 10_000
MAX_DELAYED = 500
"""Delayed 403 responses at once; beyond that none is sent, and `Counters.overload` counts."""


class Receiver:
    """Dispatches received messages. A rejected request leaves no state behind."""

    def __init__(
        self,
        stack: Stack,
        calls: Mapping[DialogId, SipCall],
        policy: InboundPolicy,
        on_invite: Callable[[ServerTransaction, Invitation], None],
        *,
        moving: Set[DialogId] = frozenset(),
    ) -> None:
        """New requests in the dialogs `moving` are dropped without a response."""
        self._stack = stack
        self._moving = moving
        self._calls = calls
        self._secret = stack.random(32)
        self._admission = AdmissionControl(policy, self._secret, stack.counters)
        self._on_invite = on_invite
        self._delayed = 0

    def receive(self, data: bytes, source: Target, now: float) -> None:
        """Handle one message."""
        if not data.strip(b"\r\n\0"):
            return  # a keep-alive
        try:
            message = parse(data, datagram=source.transport == "udp")
        except SipError as error:
            self._stack.counters.malformed += 1
            if error.request and self._admission.answers(source):
                self._mark_source(error.request, source)
                self._reply(error.request, source, StatelessReply(error.code, error.headers), now)
            return
        if isinstance(message, Response):
            self._stack.transactions.receive(message, now)
        else:
            self._mark_source(message, source)
            self._request(message, source, now)

    def _mark_source(self, request: Request, source: Target) -> None:
        """Note in the first Via where the request came from (RFC 3261 section 18.2.1, RFC 3581)."""
        first, *others = request.headers.split("via")
        via = request.headers.top_via
        marked = first
        if "rport" in via.parameters:
            head, _, tail = _cut_parameter(first, "rport")
            marked = f"{head};rport={source.port}{tail}"
        if "rport" in via.parameters or via.host != source.host:
            head, _, tail = _cut_parameter(marked, "received")
            marked = f"{head}{tail};received={source.host}"
        request.headers.put("Via", marked, *others)

    def _request(self, request: Request, source: Target, now: float) -> None:
        transactions = self._stack.transactions
        transaction = transactions.find(request)
        if request.method == "ACK":
            self._ack(request, source, transaction, now)
        elif transaction is not None:
            transaction.repeated(now)
        elif request.method == "CANCEL":
            self._cancel(request, source, now)
        else:
            try:
                self._new_request(request, source, now)
            except SipError as error:
                self._reply(request, source, StatelessReply(error.code, error.headers), now)

    def _ack(
        self, request: Request, source: Target, transaction: ServerTransaction | None, now: float
    ) -> None:
        if transaction is not None and transaction.takes(request, source):
            transaction.acknowledged(now)
        found = self._dialog_of(request)
        if found is None:
            return
        call, dialog = found
        # From elsewhere it may end retransmissions, for it cannot be challenged, but a description would move the audio.
        known = dialog.has_peer(source.host) or self._is_of_trunk(call, source)
        if (known or not request.body) and dialog.may_use(source.transport):
            call.acknowledged(request, now)
        else:
            self._stack.counters.foreign += 1

    def _cancel(self, request: Request, source: Target, now: float) -> None:
        invite = self._stack.transactions.find(request, "INVITE")
        call = None if invite is None else self._calls.get(DialogId(invite.owner))
        if invite is None or not (
            invite.takes(request, source)
            and (
                invite.source.host == source.host
                or self._is_of_trunk(call, source)
                or (call is not None and call.session.rules.bye_only)
            )
        ):
            self._reply(request, source, self._admission.no_dialog(request, source), now)
            return
        transaction = self._stack.transactions.accept(request, source, now)
        transaction.respond(reply(request, 200, tag=invite.owner), now)
        if call is not None:
            call.canceled(invite, request, now)

    def _new_request(self, request: Request, source: Target, now: float) -> None:
        transactions = self._stack.transactions
        if request.headers.to.tag:
            if request.headers.to.tag in self._moving:
                return
            found = self._dialog_of(request)
            if found is None:
                self._reply(request, source, self._admission.no_dialog(request, source), now)
                return
            call, dialog = found
            if rejection := self._check_within(call, dialog, request, source, now):
                self._stack.counters.foreign += 1
                self._reply(request, source, rejection, now)
                return
            check_request(request)
            transaction = transactions.accept(request, source, now)
            transaction.owner = call.session.id
            call.receive(transaction, now)
            return
        decision = self._admission.check(request, source, now)
        if isinstance(decision, StatelessReply):
            self._reply(request, source, decision, now)
            return
        check_request(request)
        if transactions.merged(request):
            raise SipError(482, "a merged request")
        self._begin(request, source, decision, now)

    def _check_within(
        self, call: SipCall, dialog: Dialog, request: Request, source: Target, now: float
    ) -> StatelessReply | None:
        """Return the reply to a request in a dialog that its peer does not send; None if it is admitted."""
        if not dialog.may_use(source.transport):
            return self._admission.no_dialog(request, source)
        if dialog.has_peer(source.host):
            return None
        if call.session.rules.bye_only:
            if request.method == "BYE" and request.headers.cseq.number > dialog.remote_seq:
                return None
            changes = request.method in CHANGES
            return StatelessReply(488) if changes else self._admission.no_dialog(request, source)
        return self._admission.check_within(request, source, call.session.trunks, now)

    def _is_of_trunk(self, call: SipCall | None, source: Target) -> bool:
        return call is not None and self._admission.is_of(call.session.trunks, source.host)

    def _begin(self, request: Request, source: Target, username: str, now: float) -> None:
        """Handle an admitted request outside a dialog."""
        if request.method == "OPTIONS":
            fields = (("Allow", ALLOW), ("Supported", SUPPORTED), ("Accept", "application/sdp"))
            self._reply(request, source, StatelessReply(200, fields), now)
            return
        if request.method == "REFER":
            raise SipError(403, "a transfer without a call")
        if request.method != "INVITE":
            raise SipError(481, "outside a dialog")
        check_interval(request)
        if len(self._calls) >= MAX_CALLS or self._stack.transactions.full:
            self._stack.counters.overload += 1
            raise SipError(503, "too many calls", headers=(("Retry-After", "10"),))
        invitation = read_invitation(request, source, username, self._replaced)
        transaction = self._stack.transactions.accept(request, source, now)
        transaction.respond(reply(request, 100), now)
        self._on_invite(transaction, invitation)

    def _replaced(self, value: str) -> DialogId:
        """Return the dialog that Replaces names (RFC 3891 section 3).

        Raises:
            SipError: there is none, or it must not be replaced.
        """
        call_id, ours, theirs, early_only = replaces_parts(value)
        call = self._calls.get(DialogId(ours))
        dialog = call.session.dialog if call else None
        if (
            call is None
            or dialog is None
            or (dialog.call_id, dialog.remote_tag) != (call_id, theirs)
        ):
            raise SipError(481, "no such dialog to replace")
        if call.rings_here:
            raise SipError(481, "only its caller may be replaced before the answer")
        if call.session.phase >= Phase.ENDING:
            raise SipError(603, "the dialog to replace has ended")
        if early_only and call.session.phase is Phase.CONFIRMED:
            raise SipError(486, "the dialog to replace has been answered")
        return call.session.id

    def _dialog_of(self, request: Request) -> tuple[SipCall, Dialog] | None:
        headers = request.headers
        call = self._calls.get(DialogId(headers.to.tag))
        dialog = call.dialog_with(headers.from_.tag) if call else None
        if call is None or dialog is None or dialog.call_id != headers.call_id:
            return None
        return call, dialog

    def _reply(self, request: Request, source: Target, made: StatelessReply, now: float) -> None:
        """Respond without a transaction; a retransmission gets the same response."""
        if not made.code or request.method == "ACK":
            return
        target = response_target(request, source)
        response = reply(request, made.code, tag=self._tag(request), headers=made.headers)
        data = bytes(response)
        send = self._stack.transactions.send_once
        if not made.delay:
            send(data, target)
        elif self._delayed >= MAX_DELAYED:
            self._stack.counters.overload += 1
        else:
            self._delayed += 1
            if request.method == "INVITE":
                send(bytes(reply(request, 100)), target)  # stops its retransmission

            def send_late(_now: float) -> None:
                self._delayed -= 1
                send(data, target)

            self._stack.timers.at(now + made.delay, send_late)

    def _tag(self, request: Request) -> str:
        """Return a To tag that is the same for every retransmission (RFC 3261 section 8.2.7)."""
        headers = request.headers
        known = f"{headers.call_id} {headers.first('from')} {headers.top_via.branch}"
        mac = hmac.new(self._secret, known.encode("utf-8", "replace"), hashlib.sha256)
        return mac.hexdigest()[:16]


def _cut_parameter(via: str, name: str) -> tuple[str, str, str]:
    """Return what stands before, in, and after a parameter of a Via value."""
    found = re.search(rf";\s*{name}\s*(?:=[^;]*)?(?=;|$)", via, re.IGNORECASE)
    if found is None:
        return via, "", ""
    return via[: found.start()], found[0], via[found.end() :]
