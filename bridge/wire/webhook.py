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
from bridge.wire.call_event import CallEvent, CallSnapshot, jid
from bridge.wire.iso8601 import iso8601
from bridge.wire.metadata import NOTHING

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
EVERYTHING: Final = frozenset({"*", "all", "call", "calls"})
"""Words of a filter that let everything through, in any case."""


class Style(StrEnum):
    """The vendor whose format a receiver gets."""

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


class _Renderer(NamedTuple):
    name: Callable[[CallEvent], str | None]
    body: Callable[[CallEvent, Receiver], dict[str, Any]]
    headers: Callable[[CallEvent], Mapping[str, str]]
    signature: str


def render(event: CallEvent, receiver: Receiver) -> Delivery | None:
    """Render an event for a receiver; None when its vendor has none for it."""
    renderer = _RENDERERS[receiver.style]
    if renderer.name(event) is None:
        return None
    content = renderer.body(event, receiver)
    if receiver.format is Format.JSON:
        return Delivery(msgspec.json.encode(content), JSON, renderer.headers(event))
    text = msgspec.json.encode(content).decode()
    form = urlencode({"token": receiver.token, "jsonData": text})
    return Delivery(form.encode(), FORM, renderer.headers(event))


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
    headers[_RENDERERS[style].signature] = signature.timestamped(secret, delivery.body, now=now)
    return headers


def wants(filters: Sequence[str], style: Style, event: CallEvent) -> bool:
    """Whether a receiver with these filters gets an event; an empty list lets everything through.

    A filter is an event's name, the vendor's or ours, or the beginning of one before `*`.
    """
    name = _RENDERERS[style].name(event)
    if name is None:
        return False
    return not filters or any(_matches(wanted, (name, event.type)) for wanted in filters)


def native(event: CallEvent) -> dict[str, Any]:
    """Return an event as our own webhooks and event streams send it."""
    fields: dict[str, Any] = {"id": event.id, "type": event.type, "createdAt": iso8601(event.at)}
    if event.call is not None:
        fields |= {"callId": event.call.id, "call": _native_call(event.call)}
    return fields | {"data": event.data}


def _matches(wanted: str, names: Sequence[str]) -> bool:
    if wanted.lower() in EVERYTHING:
        return True
    if wanted.endswith("*"):
        return any(name.startswith(wanted[:-1]) for name in names)
    return wanted in names


def _native_call(call: CallSnapshot) -> dict[str, Any]:
    fields: dict[str, Any] = {
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
        fields["metadata"] = call.metadata
    return fields | ({"tag": call.tag} if call.tag else {})


def _no_headers(_: CallEvent) -> Mapping[str, str]:
    return {}


SIGNATURE: Final = "bridge-signature"
"""Where the signature `t=…,v1=…` stands when the vendor has no header for one."""

_RENDERERS: Final = {
    Style.NATIVE: _Renderer(
        lambda event: event.type, lambda event, _: native(event), _no_headers, SIGNATURE
    ),
    Style.WADIAL: _Renderer(
        webhook_wadial.name,
        lambda event, _: webhook_wadial.body(event),
        webhook_wadial.headers,
        webhook_wadial.SIGNATURE,
    ),
    Style.CHIRP: _Renderer(
        webhook_chirp.name,
        lambda event, receiver: webhook_chirp.body(
            event, test=receiver.test, file_url=receiver.file_url
        ),
        _no_headers,
        SIGNATURE,
    ),
    Style.WAGO: _Renderer(
        webhook_zuckzapgo.name,
        lambda event, _: webhook_zuckzapgo.wago_body(event),
        _no_headers,
        SIGNATURE,
    ),
    Style.ZUCKZAPGO: _Renderer(
        webhook_zuckzapgo.name,
        lambda event, _: webhook_zuckzapgo.body(event),
        _no_headers,
        SIGNATURE,
    ),
    Style.WAVIX: _Renderer(
        webhook_wavix.name, lambda event, _: webhook_wavix.body(event), _no_headers, SIGNATURE
    ),
    Style.WAVIX_POST_CALL: _Renderer(
        webhook_wavix.post_call_name,
        lambda event, _: webhook_wavix.post_call(event),
        _no_headers,
        SIGNATURE,
    ),
}
