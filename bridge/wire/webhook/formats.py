"""Webhook deliveries: event filters, and the request in each vendor's format.

The native format uses the names of the native API. A vendor's format follows its documents; what they
do not define is our definition.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec

from bridge.wire import signature
from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.iso8601 import iso8601
from bridge.wire.webhook import chirp, wadial, wavix, zuckzapgo

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
NAMED_ONLY: Final = frozenset({EventType.TURN, EventType.OVERLAP_STARTED, EventType.OVERLAP_ENDED})
"""Frequent events that are sent only to webhooks that name them."""
EVERYTHING: Final = frozenset({"*", "all", "call", "calls"})
"""Filters that match every event, in any case."""


class Style(StrEnum):
    """The vendor whose format a receiver gets."""

    NATIVE = "native"
    WADIAL = "wadial"
    CHIRP = "chirp"
    WAGO = "wago"
    ZUCKZAPGO = "zuckzapgo"
    WAVIX = "wavix"
    WAVIX_POST_CALL = "wavix_post_call"
    WAVIX_TRANSCRIPTION = "wavix_transcription"


class Format(StrEnum):
    """How the body is encoded."""

    JSON = "json"
    FORM = "form"
    """Fields `token` and `jsonData`."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request to send; each attempt adds its own signatures."""

    body: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receiver:
    """The properties of an endpoint that determine its deliveries."""

    style: Style
    format: Format = Format.JSON
    token: str = ""
    """The field `token` of WaGo's form."""
    test: bool = False
    """Whether ids have the form of a test key."""
    file_url: Callable[[str, str], str] = lambda *_: ""
    """Returns a link to a recording's file by id and format; empty if there is none."""


class _Renderer(NamedTuple):
    name: Callable[[CallEvent], str | None]
    body: Callable[[CallEvent, Receiver], dict[str, Any]]
    headers: Callable[[CallEvent], Mapping[str, str]] = lambda _: {}
    signature: str = "bridge-signature"
    """Header of the signature `t=…,v1=…`."""


def render(event: CallEvent, receiver: Receiver) -> Delivery | None:
    """Render an event for a receiver; None if its vendor has no such event."""
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
    """Return the headers of one attempt, unsigned without a secret.

    Secrets in `former` sign too where the header may have several signatures.
    """
    headers = {"Content-Type": delivery.content_type, **delivery.headers}
    if not secret:
        return headers | {"webhook-id": identity}
    headers |= signature.standard(secret, identity, delivery.body, now=now, former=former)
    headers[_RENDERERS[style].signature] = signature.timestamped(secret, delivery.body, now=now)
    return headers


def wants(filters: Sequence[str], style: Style, event: CallEvent) -> bool:
    """Return whether an event passes the filters; an empty list passes everything.

    A filter is an event's name, the vendor's or ours, or a prefix followed by `*`. Those of `NAMED_ONLY` are sent only if they are named.
    """
    name = _RENDERERS[style].name(event)
    if name is None or (event.type in NAMED_ONLY and event.type not in filters):
        return False
    if name in zuckzapgo.BY_NAME:
        rings = any(
            _matches(wanted, (zuckzapgo.OFFER, EventType.CALL_RINGING)) for wanted in filters
        )
        named = not {name, event.type}.isdisjoint(filters)
        return named and not (rings and name == zuckzapgo.OFFER_NOTICE)
    return not filters or any(_matches(wanted, (name, event.type)) for wanted in filters)


def known_filters(*styles: Style) -> frozenset[str]:
    """Return the names that filters of these styles may have; others, but for prefixes before `*`, match nothing."""
    everything = {f(one) for one in EVERYTHING for f in (str, str.upper, str.capitalize)}
    return frozenset(everything | set(EventType)).union(*(_ALL_NAMES[one] for one in styles))


def native(event: CallEvent) -> dict[str, Any]:
    """Return an event as our own webhooks and event streams send it."""
    fields: dict[str, Any] = {"id": event.id, "type": event.type, "createdAt": iso8601(event.at)}
    if event.call is not None:
        fields |= {"callId": event.call.id, "call": event.call.native()}
    return fields | {"data": event.data}


def _matches(wanted: str, names: Sequence[str]) -> bool:
    if wanted.lower() in EVERYTHING:
        return True
    if wanted.endswith("*"):
        return any(name.startswith(wanted[:-1]) for name in names)
    return wanted in names


_ALL_NAMES: Final[Mapping[Style, frozenset[str]]] = {
    Style.NATIVE: frozenset(),
    Style.WADIAL: wadial.ALL,
    Style.CHIRP: chirp.ALL,
    Style.ZUCKZAPGO: zuckzapgo.ALL | zuckzapgo.SUBSCRIPTIONS,
}
"""Besides the native ones."""
_RENDERERS: Final = {
    Style.NATIVE: _Renderer(lambda event: event.type, lambda event, _: native(event)),
    Style.WADIAL: _Renderer(
        wadial.name,
        lambda event, _: wadial.body(event),
        wadial.headers,
        wadial.SIGNATURE,
    ),
    Style.CHIRP: _Renderer(
        chirp.name,
        lambda event, receiver: chirp.body(event, test=receiver.test, file_url=receiver.file_url),
    ),
    Style.WAGO: _Renderer(zuckzapgo.name, lambda event, _: zuckzapgo.wago_body(event)),
    Style.ZUCKZAPGO: _Renderer(zuckzapgo.name, lambda event, _: zuckzapgo.body(event)),
    Style.WAVIX: _Renderer(wavix.name, lambda event, _: wavix.body(event)),
    Style.WAVIX_POST_CALL: _Renderer(wavix.post_call_name, lambda event, _: wavix.post_call(event)),
    Style.WAVIX_TRANSCRIPTION: _Renderer(
        wavix.transcription_name, lambda event, _: wavix.transcription(event)
    ),
}
