"""Access tokens as LiveKit's server SDKs make them: JWT (RFC 7519) with HS256 and the grant to join one room.

The issuer is an API key, the subject the identity of the participant. Client SDKs pass a token on unread, and show the text
of its refusal.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from bridge.errors import Unauthorized, WrongKey

MAX_LENGTH: Final = 8192
"""Characters; anything longer is refused."""
MAX_IDENTITY: Final = 128
LEEWAY: Final = 60.0
"""Seconds that the clock of the token's maker may be wrong by."""
ALGORITHM: Final = "HS256"
_MICROPHONE: Final = "microphone"
_AGENT: Final = "agent"


class Grants(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the holder may do; the claim `video`, whatever the media. Grants that are not listed have no effect."""

    room: str = ""
    room_join: bool = False
    can_publish: bool | None = None
    """None stands for True, here and in the next one."""
    can_subscribe: bool | None = None
    can_publish_sources: list[str] | None = None
    """`camera`, `microphone` …; None or empty: all."""

    @property
    def publishes(self) -> bool:
        """Whether the holder may be heard."""
        sources = self.can_publish_sources
        return self.can_publish is not False and (not sources or _MICROPHONE in sources)

    @property
    def subscribes(self) -> bool:
        """Whether the holder may hear."""
        return self.can_subscribe is not False


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """The claims of a token."""

    issuer: str = msgspec.field(name="iss", default="")
    identity: str = msgspec.field(name="sub", default="")
    expires: float | None = msgspec.field(name="exp", default=None)
    """Unix time."""
    not_before: float | None = msgspec.field(name="nbf", default=None)
    """Unix time."""
    name: str = ""
    kind: str = ""
    """Of the participant: `standard`, `agent`, `sip` …; empty is standard. Agents of LiveKit's framework have `agent`."""
    grants: Grants = msgspec.field(name="video", default=Grants())

    @property
    def machine(self) -> bool:
        """Whether the holder is a bot."""
        return self.kind == _AGENT


class _Header(msgspec.Struct, frozen=True):
    """The JOSE header (RFC 7515 section 4.1)."""

    alg: str
    crit: list[str] | None = None
    """Extensions that must be understood."""


class _Issuer(msgspec.Struct, frozen=True):
    """All that is read of a token before its signature is."""

    iss: str = ""


T = TypeVar("T", bound=msgspec.Struct)


def verify(text: str, secrets: Mapping[str, str]) -> AccessToken:
    """Read a token by the secret of its issuer, one of `secrets` by API key; what it allows is left to `check`.

    Raises:
        WrongKey: the token is malformed or forged.
    """
    signed, _, signature = text.rpartition(".")
    header, _, claims = signed.partition(".")
    if len(text) > MAX_LENGTH or not text.isascii() or not claims:
        raise WrongKey("invalid token: expected a JWT, or a ticket of a call")
    head = _read(header, _Header)
    if head.alg != ALGORITHM or head.crit is not None:
        raise WrongKey(f"invalid token: expected the algorithm {ALGORITHM}")
    secret = secrets.get(_read(claims, _Issuer).iss)
    if not secret:
        raise WrongKey("invalid token: the API key that issued it (iss) is unknown")
    if not hmac.compare_digest(_signature(signed, secret), signature):
        raise WrongKey("invalid token: the signature is not by the secret of its API key")
    return _read(claims, AccessToken)


def check(token: AccessToken, *, now: float) -> None:
    """Refuse a genuine token that lets its holder join no room, or not yet; `now` is Unix time.

    Whether there is such a room, and whether the token has expired, are left to the caller.

    Raises:
        Unauthorized: it does not.
    """
    if token.expires is None:
        raise Unauthorized("invalid token: it never expires (exp)")
    if token.not_before is not None and now < token.not_before - LEEWAY:
        raise Unauthorized("invalid token: it is not valid yet (nbf)")
    if not token.grants.room_join:
        raise Unauthorized("invalid token: it does not grant to join a room (roomJoin)")
    if not token.grants.room:
        raise Unauthorized("invalid token: it names no room")
    identity = token.identity
    if not identity or len(identity) > MAX_IDENTITY or not identity.isprintable():
        raise Unauthorized(
            f"invalid token: expected an identity (sub) of at most {MAX_IDENTITY} printable characters"
        )


def _read(part: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(_bytes(part), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise WrongKey("invalid token: it is malformed") from None


def _signature(signed: str, secret: str) -> str:
    return _text(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise WrongKey("invalid token: it is malformed") from None
