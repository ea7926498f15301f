"""Webhook endpoints of the faces whose lines have any number of them, and the fields of all."""

import base64
import re
import secrets
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from bridge.api.server.fields import Json, Timestamp, Url, field, wrong_field
from bridge.api.server.operation import Context, Field
from bridge.api.server.services import EVENTS, SITE
from bridge.errors import InvalidRequest, about_field
from bridge.stores import endpoints
from bridge.stores.endpoints import Endpoint
from bridge.wire.iso8601 import iso8601
from bridge.wire.signature import PREFIX
from bridge.wire.webhook.formats import Style, known_filters

SECRET_BYTES: Final = 24
MAX_EVENTS: Final = 50
MAX_HEADERS: Final = 20
RESERVED_HEADERS: Final = re.compile(
    r"content-.*|host|connection|transfer-encoding|upgrade|te|trailer|keep-alive|proxy-.*"
    r"|webhook-.*|wadial-.*|bridge-signature",
    re.IGNORECASE,
)
"""Headers that customers cannot set."""

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\x20-\x7E]{0,1024}")
_EVENT = re.compile(r"[A-Za-z0-9_.*-]{1,100}")


def _read_events(value: Json, name: str) -> Json:
    if (
        not isinstance(value, list)
        or len(value) > MAX_EVENTS
        or not all(isinstance(one, str) and _EVENT.fullmatch(one) for one in value)
    ):
        raise wrong_field(name, f"expected a list of at most {MAX_EVENTS} event names")
    return value


@cache
def _event_names(group: str) -> frozenset[str]:
    styles = {"WADial": (Style.WADIAL,), "Chirp": (Style.CHIRP,)}
    return known_filters(*styles.get(group, (Style.NATIVE, Style.ZUCKZAPGO)))


def _read_headers(value: Json, name: str) -> Json:
    if (
        not isinstance(value, dict)
        or len(value) > MAX_HEADERS
        or not all(_is_header(one, text) for one, text in value.items())
    ):
        raise wrong_field(
            name,
            f"expected at most {MAX_HEADERS} names with values of printable ASCII, "
            "without those that describe the message itself",
        )
    return value


def _is_header(name: str, value: object) -> bool:
    return (
        _NAME.fullmatch(name) is not None
        and not RESERVED_HEADERS.fullmatch(name)
        and isinstance(value, str)
        and _VALUE.fullmatch(value) is not None
    )


EventNames: TypeAlias = Annotated[
    list[Annotated[str, Meta(description="an event's name, or the beginning of one before `*`")]],
    field(spellings=("Subscribe", "subscribe"), names=_event_names, read=_read_events),
]
"""The events that are sent; an empty list means all."""
Headers: TypeAlias = Annotated[dict[str, str], field(read=_read_headers, max_length=MAX_HEADERS)]
"""Headers of the customer for each delivery."""
Active: TypeAlias = Annotated[bool, field(spellings=("Active",))]


class NewWebhook(Struct):
    """A webhook endpoint to register."""

    url: Url
    events: EventNames = []
    headers: Headers = {}
    active: Active = True


class WebhookChange(Struct):
    """What changes of an endpoint."""

    url: Url | None = None
    events: EventNames | None = None
    headers: Headers | None = None
    active: Active | None = None


class WebhookDeleted(Struct):
    """The endpoint that was removed."""

    id: str
    deleted: Literal[True] = True


class WebhookEndpoint(Struct, rename="camel"):
    """A webhook endpoint."""

    id: str
    url: str
    events: list[str]
    active: bool
    created_at: Timestamp
    headers: (
        Annotated[dict[str, Literal["***"]], field("in Chirp's answers; values are hidden")]
        | UnsetType
    ) = UNSET
    secret: Annotated[str, field("shown once, when it is created")] | UnsetType = UNSET


async def create(context: Context, body: NewWebhook, style: Style) -> WebhookEndpoint:
    """Register an endpoint.

    Raises:
        InvalidRequest, AddressBlocked: its URL.
    """
    endpoint = await register(
        context,
        body.url,
        "url",
        id=f"wh_{secrets.token_hex(12)}",
        style=style,
        events=tuple(body.events),
        headers=body.headers,
        test=context.is_test_key,
        base=context[SITE].base(context.http),
        active=body.active,
    )
    return _shown(endpoint, endpoint.secret)


async def of_style(context: Context, style: Style) -> list[WebhookEndpoint]:
    """Return the line's endpoints of one style."""
    return [_shown(endpoint) for endpoint in await of_line(context) if endpoint.style is style]


async def show(context: Context) -> WebhookEndpoint:
    """Return one endpoint."""
    database = context[EVENTS].database
    return _shown(await database.read(endpoints.get, context.line, context.path("id")))


async def change(context: Context, body: WebhookChange) -> WebhookEndpoint:
    """Change the named fields of an endpoint."""
    changes = {name: to for name, to in msgspec.structs.asdict(body).items() if to is not None}
    if body.url is not None:
        await checked(context, body.url, "url")
    if body.events is not None:
        changes["events"] = tuple(body.events)
    changed = await context[EVENTS].database.run(
        endpoints.change, context.line, context.path("id"), **changes
    )
    return _shown(changed)


async def delete(context: Context) -> WebhookDeleted:
    """Remove an endpoint."""
    await context[EVENTS].database.run(endpoints.delete, context.line, context.path("id"))
    return WebhookDeleted(context.path("id"))


async def register(context: Context, url: str, name: str, **more: Field) -> Endpoint:
    """Register an endpoint with a new secret, in place of the one that has its id.

    `name` is the field with the URL, for errors; `more` are other fields of `Endpoint`, `id` and `style`
    among them.

    Raises:
        InvalidRequest, AddressBlocked: the URL.
    """
    wanted = Endpoint(
        line=context.line,
        url=await checked(context, url, name),
        created_at=datetime.now(UTC).timestamp(),
        secret=new_secret(),
        **more,
    )
    await context[EVENTS].database.run(endpoints.put, wanted)
    return wanted


async def of_line(context: Context) -> list[Endpoint]:
    """Return all endpoints of the line."""
    return await context[EVENTS].database.read(endpoints.of_line, context.line)


async def checked(context: Context, url: str, name: str) -> str:
    """Return a URL that is present and that the guard allows."""
    if not url:
        raise InvalidRequest(f"missing {name} in payload", field=name)
    with about_field(name):
        await context[EVENTS].http.of(context.line).check(url)
    return url


def new_secret() -> str:
    """Make the secret that signs an endpoint's deliveries."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _shown(endpoint: Endpoint, secret: str | UnsetType = UNSET) -> WebhookEndpoint:
    # Headers are how Chirp's receivers recognise the caller: their values are secrets.
    hidden: dict[str, Literal["***"]] = dict.fromkeys(endpoint.headers, "***")
    return WebhookEndpoint(
        endpoint.id,
        endpoint.url,
        list(endpoint.events),
        endpoint.active,
        iso8601(endpoint.created_at),
        hidden if endpoint.style is Style.CHIRP else UNSET,
        secret,
    )
