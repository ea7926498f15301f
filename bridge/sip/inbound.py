"""Requests outside a dialog: checks, admission, and the contents of an INVITE."""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.sip.boundary import (
    Admission,
    Allow,
    Arrival,
    Challenge,
    Counters,
    DialogId,
    InboundPolicy,
    Invitation,
    Refuse,
    Target,
)
from bridge.sip.digest_server import DigestDecision, DigestServer
from bridge.sip.message.body import sdp_of
from bridge.sip.message.headers import Headers
from bridge.sip.message.message import Request, SipError
from bridge.sip.message.values import Uri, ValueSyntaxError, readable
from bridge.sip.stack import ALLOW, EXTENSIONS

METHODS = frozenset(ALLOW.split(", "))
_KNOWN_METHODS = METHODS | {"REGISTER", "SUBSCRIBE", "PUBLISH", "MESSAGE"}
_SCHEMES = ("sip", "sips", "tel")


@dataclass(frozen=True, slots=True)
class StatelessReply:
    """A response without a transaction."""

    code: int
    """0: it is not answered."""
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    """Seconds before the response is sent."""


def check_request(request: Request) -> None:
    """Check what every request has to pass (RFC 3261 section 8.2).

    Raises:
        SipError: its method, URI scheme or a required extension is not supported.
    """
    if request.method not in METHODS:
        code = 405 if request.method in _KNOWN_METHODS else 501
        raise SipError(code, "an unsupported method", headers=(("Allow", ALLOW),))
    if Uri.parse(request.uri).scheme not in _SCHEMES:
        raise SipError(416, "an unsupported URI scheme")
    unsupported = request.headers.tokens("require") - EXTENSIONS
    if unsupported and request.method not in ("ACK", "CANCEL"):
        listed = ", ".join(sorted(unsupported))
        raise SipError(420, "an unsupported extension", headers=(("Unsupported", listed),))


class AdmissionControl:
    """Applies the policy, and checks digest credentials for it."""

    def __init__(self, policy: InboundPolicy, secret: bytes, counters: Counters) -> None:
        self._policy = policy
        self._digest = DigestServer(secret, policy.ha1, policy.ignores_parameters)
        self._counters = counters

    def check(self, request: Request, source: Target, now: float) -> StatelessReply | str:
        """Return the reply that rejects a request, or the digest user it is admitted for (empty: none is required)."""
        admission = self._admission(request, source)
        if isinstance(admission, Allow):
            return ""
        if isinstance(admission, Refuse):
            return StatelessReply(admission.code)
        return self._authenticate(request, source, admission, now)

    def is_of(self, trunks: frozenset[str], host: str) -> bool:
        """Return whether an address is one of these trunks'."""
        return isinstance(self._policy.admit_within(trunks, host), Allow)

    def check_within(
        self, request: Request, source: Target, trunks: frozenset[str], now: float
    ) -> StatelessReply | None:
        """Return the reply that rejects a request within a call, not from its peer; None if it is admitted."""
        admission = self._policy.admit_within(trunks, source.host)
        if isinstance(admission, Allow):
            return None
        if isinstance(admission, Challenge):
            checked = self._authenticate(request, source, admission, now)
            return checked if isinstance(checked, StatelessReply) else None
        return self.no_dialog(request, source)

    def answers(self, source: Target) -> bool:
        """Return whether malformed requests of a source are answered."""
        return isinstance(self._policy.admit(Arrival(source, "")), Allow)

    def no_dialog(self, request: Request, source: Target) -> StatelessReply:
        """Return the reply to a request of an unknown dialog: 481, to unauthenticated addresses what any request gets."""
        admission = self._admission(request, source)
        return StatelessReply(admission.code if isinstance(admission, Refuse) else 481)

    def _admission(self, request: Request, source: Target) -> Admission:
        return self._policy.admit(Arrival(source, request.method))

    def _authenticate(
        self, request: Request, source: Target, challenge: Challenge, now: float
    ) -> StatelessReply | str:
        host = source.host
        delay = self._digest.delay(host, now)
        if delay:
            self._counters.authentication_failures += 1
            return StatelessReply(403, delay=delay)
        # Nobody reads along with TLS, and some callers send the second INVITE from another of their addresses.
        nonce_for = "" if source.transport == "tls" else host
        decision, username = self._digest.check(request, challenge, host, now, nonce_for=nonce_for)
        if decision is DigestDecision.RIGHT:
            if challenge.users is None or username in challenge.users:
                return username
            decision = DigestDecision.WRONG
        if decision is DigestDecision.WRONG:
            self._counters.authentication_failures += 1
        stale = decision is DigestDecision.STALE
        return StatelessReply(401, self._digest.challenges(challenge, nonce_for, now, stale=stale))


def read_invitation(
    request: Request,
    source: Target,
    username: str,
    find: Callable[[str], DialogId],
) -> Invitation:
    """Return the contents of an INVITE; `find` returns the dialog that its Replaces names.

    Raises:
        SipError: it cannot begin a call.
    """
    headers = request.headers
    if len(headers.all("replaces")) > 1:
        raise SipError(400, "more than one Replaces")
    replaces = headers.first("replaces")
    caller = headers.from_
    return Invitation(
        source=source,
        sdp=sdp_of(request),
        to_user=readable(Uri.parse(request.uri).user),
        from_user=readable(caller.uri.user),
        from_name=readable(caller.name)[:200],
        asserted_user=_asserted(headers),
        anonymous=_withheld(headers),
        username=username,
        replaces=find(replaces) if replaces else None,
        headers=_shown(headers),
    )


def _asserted(headers: Headers) -> str:
    """Return the user of the first P-Asserted-Identity; empty for none (RFC 3325)."""
    try:
        addresses = headers.addresses("p-asserted-identity")
    except ValueSyntaxError:
        return ""
    return next((readable(a.uri.user) for a in addresses if a.uri.user), "")


def _withheld(headers: Headers) -> bool:
    asked = headers.first("privacy").lower()
    wishes = {wish.strip() for wish in asked.replace(",", ";").split(";")}
    return bool(wishes & {"id", "user", "header"})


def _shown(headers: Headers) -> dict[str, tuple[str, ...]]:
    shown: dict[str, list[str]] = {}
    for name, value in headers:
        if name not in ("authorization", "proxy-authorization"):
            shown.setdefault(name, []).append(readable(value))
    return {name: tuple(values) for name, values in shown.items()}
