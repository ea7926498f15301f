"""Digest authentication (RFC 8760): reading challenges and credentials, and answering as a client."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.sip.boundary import Credentials
from bridge.sip.message.message import Request, Response
from bridge.sip.message.values import quote, unquote

ALGORITHMS = ("SHA-256", "MD5")
"""Supported algorithms, the strongest first."""
_PARAMETER = re.compile(r'\s*([A-Za-z0-9_\-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s",]*)\s*(?:,|$)')
_SCHEME = re.compile(r"\s*digest\s+", re.IGNORECASE)
MAX_REALMS = 4
MAX_ATTEMPTS = 3
"""Answers to challenges of one request; a realm is answered once, and again if its nonce was stale."""


def digest_parameters(value: str) -> dict[str, str] | None:
    """Return the parameters of a Digest challenge or of credentials; None for another scheme, or if malformed."""
    scheme = _SCHEME.match(value)
    if scheme is None:
        return None
    found: dict[str, str] = {}
    position = scheme.end()
    while position < len(value):
        match = _PARAMETER.match(value, position)
        if match is None:
            return None
        found.setdefault(match[1].lower(), unquote(match[2]))
        position = match.end()
    return found


def hashed(algorithm: str, *parts: str) -> str:
    """Return the hex digest of parts joined by colons; `algorithm` is one of `ALGORITHMS`."""
    data = ":".join(parts).encode("utf-8", "surrogateescape")
    if algorithm == "MD5":
        return hashlib.md5(data, usedforsecurity=False).hexdigest()
    return hashlib.sha256(data).hexdigest()


def digest_response(algorithm: str, ha1: str, method: str, given: dict[str, str]) -> str:
    """Return the `response` of credentials with these parameters (RFC 7616 section 3.4.1)."""
    ha2 = hashed(algorithm, method, given.get("uri", ""))
    if "qop" not in given:  # RFC 2069; trunks without qop still exist
        return hashed(algorithm, ha1, given.get("nonce", ""), ha2)
    between = (given.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
    return hashed(algorithm, ha1, *between, ha2)


@dataclass(slots=True)
class _Challenge:
    header: str
    """Of our answer: Authorization or Proxy-Authorization."""
    realm: str
    nonce: str
    algorithm: str
    opaque: str
    qop: bool
    stale: bool
    algorithm_named: bool
    count: int = 0
    """Requests that used this nonce."""


@dataclass(slots=True)
class DigestClient:
    """Credentials, and the challenges they have answered: of one dialog or one registration."""

    credentials: Credentials | None
    random: Callable[[int], bytes]
    _challenges: dict[tuple[str, str], _Challenge] = field(default_factory=dict)

    def challenged(self, response: Response, attempts: dict[str, int]) -> bool:
        """Take the challenges of a 401 or 407; return whether sending the request again makes sense.

        It does not if the same realm rejects new credentials. A realm that has asked for SHA-256 is never
        answered with MD5 afterwards (downgrade protection). `attempts` counts the answers of one request
        by realm.
        """
        if self.credentials is None or sum(attempts.values()) >= MAX_ATTEMPTS:
            return False
        again = False
        for challenge in _challenges(response):
            key = (challenge.header, challenge.realm)
            before = self._challenges.get(key)
            if before and _strength(before.algorithm) < _strength(challenge.algorithm):
                return False
            if attempts.get(challenge.realm) and not challenge.stale:
                return False
            attempts[challenge.realm] = attempts.get(challenge.realm, 0) + 1
            self._challenges.pop(key, None)
            self._challenges[key] = challenge
            if len(self._challenges) > MAX_REALMS:
                del self._challenges[next(iter(self._challenges))]
            again = True
        return again

    def authorize(self, request: Request) -> None:
        """Add the credentials for all realms that have challenged; none before the first challenge."""
        for name in ("authorization", "proxy-authorization"):
            values = [
                self._credentials(challenge, request)
                for challenge in self._challenges.values()
                if challenge.header == name
            ]
            request.headers.put(name, *values)

    def _credentials(self, challenge: _Challenge, request: Request) -> str:
        assert self.credentials
        username, password = self.credentials.username, self.credentials.password
        challenge.count += 1
        given = {
            "username": username,
            "realm": challenge.realm,
            "nonce": challenge.nonce,
            "uri": request.uri,
        }
        if challenge.qop:
            given |= {"cnonce": self.random(8).hex(), "nc": f"{challenge.count:08x}", "qop": "auth"}
        ha1 = hashed(challenge.algorithm, username, challenge.realm, password)
        given["response"] = digest_response(challenge.algorithm, ha1, request.method, given)
        if challenge.algorithm_named:
            given["algorithm"] = challenge.algorithm
        if challenge.opaque:
            given["opaque"] = challenge.opaque
        bare = ("nc", "qop", "algorithm")
        parts = (f"{k}={v if k in bare else quote(v)}" for k, v in given.items())
        return "Digest " + ", ".join(parts)


def _strength(algorithm: str) -> int:
    return ALGORITHMS.index(algorithm)


def _challenges(response: Response) -> list[_Challenge]:
    """Return the strongest challenge of each realm that we can answer."""
    header = "authorization" if response.code == 401 else "proxy-authorization"
    field_name = "www-authenticate" if response.code == 401 else "proxy-authenticate"
    strongest: dict[str, _Challenge] = {}
    for value in response.headers.all(field_name)[:8]:
        challenge = _challenge(header, digest_parameters(value))
        if challenge is None:
            continue
        other = strongest.get(challenge.realm)
        if other is None or _strength(challenge.algorithm) < _strength(other.algorithm):
            strongest[challenge.realm] = challenge
    return list(strongest.values())


def _challenge(header: str, given: dict[str, str] | None) -> _Challenge | None:
    if given is None or "nonce" not in given or "realm" not in given:
        return None
    algorithm = given.get("algorithm", "MD5").upper()
    offered = {part.strip().lower() for part in given.get("qop", "").split(",")} - {""}
    if algorithm not in ALGORITHMS or (offered and "auth" not in offered):
        return None
    return _Challenge(
        header,
        given["realm"],
        given["nonce"],
        algorithm,
        given.get("opaque", ""),
        qop=bool(offered),
        stale=given.get("stale", "").lower() == "true",
        algorithm_named="algorithm" in given,
    )
