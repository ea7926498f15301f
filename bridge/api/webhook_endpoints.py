"""Webhook endpoints of the faces whose lines have any number of them."""

import secrets
from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import Struct

from bridge.api.fields import Url
from bridge.api.operation import Context
from bridge.api.webhook_fields import Active, EventNames, Headers, new_secret
from bridge.errors import InvalidRequest, about_field
from bridge.net import endpoints
from bridge.net.endpoints import Endpoint
from bridge.wire.iso8601 import iso8601
from bridge.wire.webhook import Style


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


async def create(context: Context, body: NewWebhook, style: Style) -> Endpoint:
    """Register an endpoint.

    Raises:
        InvalidRequest, AddressBlocked: its URL.
    """
    wanted = Endpoint(
        id=f"wh_{secrets.token_hex(12)}",
        line=context.line,
        url=await checked(context, body.url, "url"),
        style=style,
        created_at=now(),
        events=tuple(body.events),
        headers=body.headers,
        secret=new_secret(),
        test=context.is_test_key,
        base=context.services.site.base(context.http),
        active=body.active,
    )
    await context.services.database.run(lambda connection: endpoints.put(connection, wanted))
    return wanted


async def change(context: Context, body: WebhookChange) -> Endpoint:
    """Change the endpoint that the path names.

    Raises:
        NotFound: there is none.
        InvalidRequest, AddressBlocked: its URL.
    """
    changes = {name: to for name, to in msgspec.structs.asdict(body).items() if to is not None}
    if body.url is not None:
        await checked(context, body.url, "url")
    if body.events is not None:
        changes["events"] = tuple(body.events)
    return await context.services.database.run(
        lambda connection: endpoints.change(connection, context.line, context.path("id"), **changes)
    )


async def find(context: Context) -> Endpoint:
    """Return the endpoint that the path names.

    Raises:
        NotFound: there is none.
    """
    return await context.services.database.run(
        lambda connection: endpoints.get(connection, context.line, context.path("id"))
    )


async def delete(context: Context) -> WebhookDeleted:
    """Remove the endpoint that the path names.

    Raises:
        NotFound: there is none.
    """
    await context.services.database.run(
        lambda connection: endpoints.delete(connection, context.line, context.path("id"))
    )
    return WebhookDeleted(context.path("id"))


async def of_line(context: Context) -> list[Endpoint]:
    """Return all endpoints of the line."""
    return await context.services.database.run(
        lambda connection: endpoints.of_line(connection, context.line)
    )


async def of_style(context: Context, style: Style) -> list[Endpoint]:
    """Return the line's endpoints of one style."""
    return [endpoint for endpoint in await of_line(context) if endpoint.style is style]


async def checked(context: Context, url: str, field: str) -> str:
    """Return a URL that is present and that the guard allows."""
    if not url:
        raise InvalidRequest(f"missing {field} in payload", field=field)
    with about_field(field):
        await context.services.http.of(context.line).check(url)
    return url


def time_of(unix: float) -> str:
    """Return a time in ISO 8601."""
    return iso8601(datetime.fromtimestamp(unix, UTC))


def now() -> float:
    """Return the Unix time."""
    return datetime.now(UTC).timestamp()
