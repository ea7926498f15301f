"""The STUN and TURN servers of browsers, and their credentials.

Three modes: `none`; `static`, fixed credentials; `shared_secret`, credentials that expire, as coturn's
`use-auth-secret` (draft-uberti-behave-turn-rest-00): the user name is `<unix time of expiry>:<user>`,
the password the Base64 of its HMAC-SHA1 with the secret.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final, NotRequired, TypedDict

from bridge.settings.model import Turn, TurnServer

NAME_BYTES: Final = 8
"""Bytes in each user name that tell it from others."""
NAMES_OF_TICKET: Final = 8
"""User names that the holders of one ticket share, each with coturn's `user-quota`."""


class IceServer(TypedDict):
    """One entry of `iceServers` of `RTCPeerConnection`."""

    urls: list[str]
    username: NotRequired[str]
    credential: NotRequired[str]


class TurnState(TypedDict):
    """`status` is `configured`, or `coming_soon` without TURN."""

    enabled: bool
    status: str


class IceConfiguration(TypedDict):
    """The answer of `/call/webrtc/config`."""

    iceServers: list[IceServer]
    turn: TurnState


def ice_configuration(
    stun_urls: Sequence[str], turn: Turn, *, user: str, now_unix: float, holder: str = ""
) -> IceConfiguration:
    """Return the answer of `/call/webrtc/config`; `user` begins the name in coturn's log.

    With a shared secret each answer to a key has a name of its own, since coturn's `user-quota` counts the name
    behind the time. Those to the `holder` of a ticket share a few: one browser cannot take the whole server.
    """
    stun: list[IceServer] = [{"urls": list(stun_urls)}] if stun_urls else []
    enabled = turn.mode != "none"
    return {
        "iceServers": stun + _turn_servers(turn, f"{user}.{_name(holder)}", now_unix),
        "turn": {"enabled": enabled, "status": "configured" if enabled else "coming_soon"},
    }


def timed_credentials(secret: str, user: str, *, expires_unix: int) -> tuple[str, str]:
    """Return the user name and password that coturn accepts until `expires_unix`."""
    username = f"{expires_unix}:{user}"
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()


def _name(holder: str) -> str:
    if not holder:
        return secrets.token_hex(NAME_BYTES)
    text = f"{secrets.randbelow(NAMES_OF_TICKET)} {holder}"
    return hashlib.sha256(text.encode()).hexdigest()[: 2 * NAME_BYTES]


def _turn_servers(turn: Turn, user: str, now_unix: float) -> list[IceServer]:
    if turn.mode == "shared_secret":
        username, credential = timed_credentials(
            turn.secret, user, expires_unix=int(now_unix) + turn.ttl
        )
        return [{"urls": turn.urls, "username": username, "credential": credential}]
    servers: list[Turn | TurnServer] = [turn, *turn.servers] if turn.mode == "static" else []
    return [
        {"urls": server.urls, "username": server.username, "credential": server.credential}
        for server in servers
        if server.urls
    ]
