"""SIP user agent without sockets, clock or DNS: bytes and commands in, bytes and events out."""

from collections.abc import Callable

from bridge.sip.boundary import (
    USUAL_RULES,
    Counters,
    Credentials,
    Dial,
    DialogId,
    DialogRules,
    InboundPolicy,
    Invitation,
    Invited,
    Local,
    OptionsAnswered,
    Output,
    Registration,
    Target,
)
from bridge.sip.call import SipCall
from bridge.sip.dialog import incoming_dialog
from bridge.sip.digest import DigestClient
from bridge.sip.exchange import Exchange
from bridge.sip.message.headers import Headers
from bridge.sip.message.message import Response
from bridge.sip.message.values import Uri, check_token
from bridge.sip.receiver import Receiver
from bridge.sip.registration import Registrar
from bridge.sip.session import Session
from bridge.sip.session_timer import SessionTimer
from bridge.sip.snapshot import SipCallSnapshot
from bridge.sip.stack import Stack
from bridge.sip.transaction.server import ServerTransaction


class SipCore:
    """All transactions, dialogs and registrations of a node.

    After every call, `take_output` returns the outputs to perform, and `next_timer` when to `tick`.
    Commands for a call in another state do nothing.
    """

    def __init__(
        self,
        *,
        random: Callable[[int], bytes],
        user_agent: str,
        local: Callable[[Target], Local],
        policy: InboundPolicy,
        tag_prefix: str = "00-",
        session_expires: int = 1800,
    ) -> None:
        self._stack = Stack(random, user_agent, local)
        self._tag_prefix = tag_prefix
        self._session_expires = session_expires
        """Of inbound calls whose caller asks for no session timer (RFC 4028); 0: none either."""
        self._calls: dict[DialogId, SipCall] = {}
        self._policy = policy
        self._registrars: dict[str, Registrar] = {}
        self.moving: set[DialogId] = set()
        """Dialogs that are passing to another user agent, or have: requests in them are dropped, and come again there."""
        self._receiver = Receiver(
            self._stack, self._calls, policy, self._invited, moving=self.moving
        )

    @property
    def counters(self) -> Counters:
        """Totals since the start."""
        return self._stack.counters

    @property
    def sizes(self) -> dict[str, int]:
        """The numbers of calls, transactions, timers and registrations."""
        return {
            "calls": len(self._calls),
            "transactions": len(self._stack.transactions),
            "timers": len(self._stack.timers),
            "registrations": len(self._registrars),
        }

    # The network

    def receive(self, data: bytes, source: Target, now: float) -> None:
        """Take one whole message; of a stream, as `framing.StreamFramer` splits it."""
        self._receiver.receive(data, source, now)

    def transport_failed(self, target: Target, now: float) -> None:
        """Fail the transactions with a target: refused, reset, or no route."""
        self._stack.transactions.transport_failed(target, now)

    def next_timer(self) -> float | None:
        """Return when `tick` is due; None for never."""
        return self._stack.timers.next()

    def tick(self, now: float) -> None:
        """Run the timers that are due."""
        self._stack.timers.run(now)

    def take_output(self) -> list[Output]:
        """Return the outputs since the last call, in order."""
        return self._stack.take()

    # Calls

    def dial(self, request: Dial, now: float) -> DialogId:
        """Send an INVITE. `Ringing`, then `Answered` or `Refused` follow.

        Raises:
            ValueSyntaxError: a URI or the name of a header field is malformed.
        """
        for name, _ in request.headers:
            check_token(name)
        for uri in (request.uri, request.from_uri):
            Uri.parse(uri)
        if request.p_asserted_identity:
            Uri.parse(request.p_asserted_identity)
        call = self._new_call(
            DigestClient(request.credentials, self._stack.random),
            request.session_expires,
            caller=True,
            rules=request.rules,
        )
        if request.trunk:
            call.session.trunks = frozenset({request.trunk})
        call.dial(request, now)
        return call.session.id

    def restore(
        self,
        snapshot: SipCallSnapshot,
        credentials: Credentials | None,
        now: float,
        rules: DialogRules = USUAL_RULES,
    ) -> SipCall:
        """Go on with a call of another user agent, whose credentials are used if it is challenged."""
        digest = DigestClient(credentials, self._stack.random)
        call = self._new_call(
            digest,
            snapshot.timer.interval,
            caller=snapshot.caller,
            dialog_id=snapshot.id,
            rules=rules,
        )
        call.restore(snapshot, now)
        self.moving.discard(snapshot.id)
        return call

    def forget(self, dialog: DialogId) -> None:
        """Free a call that another user agent has; nobody is told."""
        if (call := self._calls.pop(dialog, None)) is not None:
            call.session.forget()

    def call(self, dialog: DialogId) -> SipCall | None:
        """Return the call of a dialog, which takes all further commands; None if it is unknown."""
        return self._calls.get(dialog)

    def connections(self) -> set[Target]:
        """Return where the messages of the live dialogs come from and go to by TCP and TLS."""
        dialogs = (call.session.dialog for call in self._calls.values())
        return {known.flow for known in dialogs if known and known.flow.transport != "udp"}

    def dialog_name(self, dialog: DialogId) -> str:
        """Return Call-ID, far tag and our tag, joined by semicolons, for logs; empty if it is unknown."""
        call = self._calls.get(dialog)
        known = call.session.dialog if call else None
        return f"{known.call_id};{known.remote_tag};{dialog}" if known else ""

    def signalling_host(self, dialog: DialogId) -> str:
        """Return the IP address that the far side's messages come from; empty if the dialog is unknown."""
        call = self._calls.get(dialog)
        known = call.session.dialog if call else None
        return known.flow.host if known else ""

    def _new_call(
        self,
        digest: DigestClient,
        session_expires: int,
        *,
        caller: bool,
        rules: DialogRules,
        dialog_id: DialogId | None = None,
    ) -> SipCall:
        dialog_id = dialog_id or DialogId(f"{self._tag_prefix}{self._stack.token()}")
        session = Session(
            self._stack, dialog_id, digest, lambda closed: self._calls.pop(closed, None)
        )
        session.rules = rules
        timer = SessionTimer(session, 0 if rules.bye_only else session_expires)
        call = SipCall(session, timer, caller=caller)
        self._calls[dialog_id] = call
        return call

    def _invited(self, transaction: ServerTransaction, invitation: Invitation) -> None:
        digest = DigestClient(None, self._stack.random)
        rules = self._policy.rules_of(invitation)
        call = self._new_call(digest, self._session_expires, caller=False, rules=rules)
        dialog_id = transaction.owner = call.session.id
        call.session.dialog = incoming_dialog(
            self._stack, transaction.request, dialog_id, transaction.source, host=rules.host
        )
        call.session.trunks = self._policy.trunks_of(invitation)
        call.invited(transaction, invitation.sdp)
        self._stack.emit(Invited(dialog_id, invitation))

    # Registrations and OPTIONS

    def register(self, registration: Registration, now: float) -> None:
        """Keep a binding, in place of an earlier one of the same name.

        Raises:
            ValueSyntaxError: a URI is malformed.
        """
        for uri in (registration.registrar, registration.address_of_record):
            Uri.parse(uri)
        before = self._registrars.pop(registration.name, None)
        if before:
            before.forget()
        registrar = self._registrars[registration.name] = Registrar(self._stack, registration)
        registrar.start(now)

    def unregister(self, name: str, now: float) -> None:
        """Remove a binding at its registrar, and forget it."""
        registrar = self._registrars.pop(name, None)
        if registrar:
            registrar.stop(now)

    def forget_registration(self, name: str) -> None:
        """Stop renewing a binding, which stays at its registrar until it expires."""
        registrar = self._registrars.pop(name, None)
        if registrar:
            registrar.forget()

    def options(self, name: str, target: Target, uri: str, now: float) -> None:
        """Ask whether a target is there; `OptionsAnswered` follows.

        Raises:
            ValueSyntaxError: the URI is malformed.
        """
        Uri.parse(uri)
        stack = self._stack
        fields = Headers()
        contact = stack.contact(target)
        fields.put("From", f"{contact};tag={stack.token()}")
        fields.put("To", f"<{uri}>")
        fields.put("Call-ID", stack.token(12))
        fields.put("CSeq", "1 OPTIONS")
        fields.put("Contact", contact)
        fields.put("Accept", "application/sdp")

        def received(response: Response, _now: float) -> None:
            if response.code >= 200:
                code = 0 if response.local else response.code
                stack.emit(OptionsAnswered(name, code))

        digest = DigestClient(None, stack.random)
        exchange = Exchange(stack, target, digest, lambda: 2, received)
        exchange.send(stack.request("OPTIONS", uri, target, fields), now)
