"""Digest authentication of requests to us (RFC 8760): stateless nonces, and delays after repeated failures."""

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from bridge.backoff import Backoff
from bridge.sip.boundary import Challenge
from bridge.sip.digest import digest_parameters, digest_response
from bridge.sip.message.message import Request

NONCE_SECONDS = 120.0
MAX_FAILURES = 5
FORGIVEN_AFTER = 600.0
"""Seconds without a failure after which the failures of an address are forgotten."""
BACKOFF = Backoff(1.0, 16.0)
MAX_ADDRESSES = 4096
MAX_USED = 8192
_COUNT = re.compile(r"[0-9a-fA-F]{8}")


class DigestDecision(Enum):
    """The result of checking a request."""

    RIGHT = auto()
    MISSING = auto()
    """No credentials of this realm."""
    STALE = auto()
    """The nonce is too old, or its count was used before."""
    WRONG = auto()


@dataclass(slots=True)
class _Failures:
    count: int
    last: float


class DigestServer:
    """Challenges requests, and checks their credentials.

    A nonce is a time stamp and a MAC over it and the source's address, so none is stored. `ha1` and `ignores_parameters`
    are those of `InboundPolicy`. Of used counts, failures and addresses the oldest are dropped.
    """

    def __init__(
        self,
        secret: bytes,
        ha1: Callable[[str, str, str], str | None],
        ignores_parameters: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._secret = secret
        self._ha1 = ha1
        self._ignores_parameters = ignores_parameters
        self._used: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def challenges(
        self, challenge: Challenge, host: str, now: float, *, stale: bool = False
    ) -> tuple[tuple[str, str], ...]:
        """Return the WWW-Authenticate fields, the preferred first."""
        nonce = self._nonce(f"{int(now * 1000):x}", host)
        quoted = challenge.realm.replace("\\", "").replace('"', "")
        return tuple(
            (
                "WWW-Authenticate",
                f'Digest realm="{quoted}", nonce="{nonce}", algorithm={algorithm}, qop="auth"'
                + (", stale=true" if stale else ""),
            )
            for algorithm in challenge.algorithms
        )

    def delay(self, host: str, now: float) -> float:
        """Return the seconds to delay the 403 of an address with too many failures; 0 for any other."""
        failures = self._failures.get(host)
        if failures is None or failures.count < MAX_FAILURES:
            return 0.0
        if now - failures.last > FORGIVEN_AFTER:
            del self._failures[host]
            return 0.0
        failures.count += 1
        return BACKOFF.after(failures.count - MAX_FAILURES)

    def check(
        self,
        request: Request,
        challenge: Challenge,
        host: str,
        now: float,
        *,
        nonce_for: str | None = None,
    ) -> tuple[DigestDecision, str]:
        """Return the verdict, and the user if it is `RIGHT`; `nonce_for` is what `challenges` got in place of the host."""
        for value in request.headers.all("authorization")[:4]:
            given = digest_parameters(value)
            if given is not None and given.get("realm") == challenge.realm:
                nonce_host = host if nonce_for is None else nonce_for
                decision = self._check(given, request, challenge, nonce_host, now)
                if decision is DigestDecision.WRONG:
                    self._failed(host, now)
                elif decision is DigestDecision.RIGHT:
                    self._failures.pop(host, None)
                return decision, given.get("username", "")
        return DigestDecision.MISSING, ""

    def _check(
        self,
        given: dict[str, str],
        request: Request,
        challenge: Challenge,
        host: str,
        now: float,
    ) -> DigestDecision:
        nonce = given.get("nonce", "")
        stamp = nonce.partition(".")[0]
        if not _equal(nonce, self._nonce(stamp, host)):
            return DigestDecision.STALE  # issued to another source, or before a restart
        algorithm = given.get("algorithm", "MD5").upper()
        if (
            algorithm not in challenge.algorithms
            or given.get("qop") != "auth"
            or not self._is_uri(given, request)
            or not _COUNT.fullmatch(given.get("nc", ""))
        ):
            return DigestDecision.WRONG
        ha1 = self._ha1(given["realm"], given.get("username", ""), algorithm)
        # Computed for unknown users too, so that the time reveals nothing.
        expected = digest_response(algorithm, ha1 or "unknown", request.method, given)
        if not _equal(given.get("response", "").lower(), expected) or ha1 is None:
            return DigestDecision.WRONG
        if now - int(stamp, 16) / 1000 > NONCE_SECONDS or not self._first_use(given):
            return DigestDecision.STALE
        return DigestDecision.RIGHT

    def _is_uri(self, given: dict[str, str], request: Request) -> bool:
        """Return whether the credentials are for the Request-URI, of some users also without its parameters."""
        uri = given.get("uri")
        if uri == request.uri or not self._ignores_parameters(given.get("username", "")):
            return uri == request.uri
        user, at, place = request.uri.rpartition("@")
        return uri == user + at + place.partition(";")[0]

    def _first_use(self, given: dict[str, str]) -> bool:
        """Return whether this nonce count is new; that of a replayed request is not."""
        use = (given["nonce"], given.get("nc", "").lower())
        if use in self._used:
            return False
        self._used[use] = None
        if len(self._used) > MAX_USED:
            self._used.popitem(last=False)
        return True

    def _nonce(self, stamp: str, host: str) -> str:
        mac = hmac.new(self._secret, f"{stamp} {host}".encode("utf-8", "replace"), hashlib.sha256)
        return f"{stamp}.{mac.hexdigest()[:32]}"

    def _failed(self, host: str, now: float) -> None:
        failures = self._failures.setdefault(host, _Failures(0, now))
        if now - failures.last > FORGIVEN_AFTER:
            failures.count = 0
        failures.count += 1
        failures.last = now
        self._failures.move_to_end(host)
        if len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)


def _equal(one: str, other: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
