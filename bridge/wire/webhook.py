"""Webhooks: which events a receiver wants, and how each vendor's clients expect them.

Our own form names everything as the native API does. A vendor's form names and leaves out what that
vendor's documents say; what they leave open is our definition.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec

from bridge.wire import signature, webhook_chirp, webhook_wadial, webhook_wavix, webhook_zuckzapgo
from bridge.wire.iso8601 import iso8601
from bridge.wire.metadata import NOTHING
from bridge.wire.notice import Call, Notice, jid

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
EVERYTHING: Final = frozenset({"*", "all", "call", "calls"})
"""Words of a filter that let everything through, in any case."""


class Style(StrEnum):
    """In whose words a receiver is told."""

    NATIVE = "native"
    WADIAL = "wadial"
    CHIRP = "chirp"
    WAGO = "wago"
    ZUCKZAPGO = "zuckzapgo"
    WAVIX = "wavix"
    WAVIX_POST_CALL = "wavix_post_call"


class Format(StrEnum):
    """How the body is encoded."""

    JSON = "json"
    FORM = "form"
    """Fields `token` and `jsonData`."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request to be sent; signatures come on top, anew at each attempt."""

    body: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receiver:
    """What of an endpoint a delivery depends on."""

    style: Style
    format: Format = Format.JSON
    token: str = ""
    """What WaGo's form names as `token`."""
    test: bool = False
    """Whether ids are spelt as a test key is shown them."""
    file_url: Callable[[str, str], str] = lambda *_: ""
    """Returns a link to a recording's file, of its id and format; empty for none."""


class _Manner(NamedTuple):
    name: Callable[[Notice], str | None]
    body: Callable[[Notice, Receiver], dict[str, Any]]
    headers: Callable[[Notice], Mapping[str, str]]
    signature: str


def render(notice: Notice, receiver: Receiver) -> Delivery | None:
    """Tell a notice in the receiver's words; None when its vendor has none for it."""
    manner = _MANNERS[receiver.style]
    if manner.name(notice) is None:
        return None
    content = manner.body(notice, receiver)
    if receiver.format is Format.JSON:
        return Delivery(msgspec.json.encode(content), JSON, manner.headers(notice))
    text = msgspec.json.encode(content).decode()
    form = urlencode({"token": receiver.token, "jsonData": text})
    return Delivery(form.encode(), FORM, manner.headers(notice))


def signed(
    delivery: Delivery,
    style: Style,
    *,
    secret: str,
    identity: str,
    now: float,
    former: Sequence[str] = (),
) -> dict[str, str]:
    """Return all headers of one attempt; without a secret only the vendor's own.

    Secrets in `former` sign too where the form of the header has room for several signatures.
    """
    headers = {"Content-Type": delivery.content_type, **delivery.headers}
    if not secret:
        return headers | {"webhook-id": identity}
    headers |= signature.standard(secret, identity, delivery.body, now=now, former=former)
    headers[_MANNERS[style].signature] = signature.timestamped(secret, delivery.body, now=now)
    return headers


def wants(filters: Sequence[str], style: Style, notice: Notice) -> bool:
    """Whether a receiver with these filters is told; an empty list lets everything through.

    A filter is an event's name, the vendor's or ours, or the beginning of one before `*`.
    """
    name = _MANNERS[style].name(notice)
    if name is None:
        return False
    return not filters or any(_matches(wanted, (name, notice.type)) for wanted in filters)


def native(notice: Notice) -> dict[str, Any]:
    """A notice as our own webhooks and event streams tell it."""
    told: dict[str, Any] = {"id": notice.id, "type": notice.type, "createdAt": iso8601(notice.at)}
    if notice.call is not None:
        told |= {"callId": notice.call.id, "call": _native_call(notice.call)}
    return told | {"data": notice.data}


def _matches(wanted: str, names: Sequence[str]) -> bool:
    if wanted.lower() in EVERYTHING:
        return True
    if wanted.endswith("*"):
        return any(name.startswith(wanted[:-1]) for name in names)
    return wanted in names


def _native_call(call: Call) -> dict[str, Any]:
    told: dict[str, Any] = {
        "callId": call.id,
        "peer": jid(call.peer),
        "from": call.from_,
        "to": call.to,
        "direction": call.direction,
        "state": call.state,
        "muted": call.muted,
        "startedAt": iso8601(call.started_at),
        "answeredAt": iso8601(call.answered_at),
        "endedAt": iso8601(call.ended_at),
        "endReason": call.reason or None,
        "seconds": round(call.seconds, 3),
    }
    if call.metadata != NOTHING:
        told["metadata"] = call.metadata
    return told | ({"tag": call.tag} if call.tag else {})


def _no_headers(_: Notice) -> Mapping[str, str]:
    return {}


SIGNATURE: Final = "bridge-signature"
"""Where the signature `t=…,v1=…` stands when the vendor has no header for one."""

_MANNERS: Final = {
    Style.NATIVE: _Manner(
        lambda notice: notice.type, lambda notice, _: native(notice), _no_headers, SIGNATURE
    ),
    Style.WADIAL: _Manner(
        webhook_wadial.name,
        lambda notice, _: webhook_wadial.body(notice),
        webhook_wadial.headers,
        webhook_wadial.SIGNATURE,
    ),
    Style.CHIRP: _Manner(
        webhook_chirp.name,
        lambda notice, receiver: webhook_chirp.body(
            notice, test=receiver.test, file_url=receiver.file_url
        ),
        _no_headers,
        SIGNATURE,
    ),
    Style.WAGO: _Manner(
        webhook_zuckzapgo.name,
        lambda notice, _: webhook_zuckzapgo.wago_body(notice),
        _no_headers,
        SIGNATURE,
    ),
    Style.ZUCKZAPGO: _Manner(
        webhook_zuckzapgo.name,
        lambda notice, _: webhook_zuckzapgo.body(notice),
        _no_headers,
        SIGNATURE,
    ),
    Style.WAVIX: _Manner(
        webhook_wavix.name, lambda notice, _: webhook_wavix.body(notice), _no_headers, SIGNATURE
    ),
    Style.WAVIX_POST_CALL: _Manner(
        webhook_wavix.post_call_name,
        lambda notice, _: webhook_wavix.post_call(notice),
        _no_headers,
        SIGNATURE,
    ),
}
