"""Chirp's webhook endpoints, `/v1/webhooks`, with custom headers."""

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from bridge.api import webhook_endpoints as kept
from bridge.api.faces.chirp.words import CHIRP
from bridge.api.fields import Count, Timestamp
from bridge.api.operation import Context
from bridge.api.webhook_endpoints import NewWebhook, WebhookChange, WebhookDeleted
from bridge.api.webhook_fields import Page
from bridge.net.endpoints import Endpoint
from bridge.wire.webhook import Style

PATH: Final = "/v1/webhooks"


class ChirpWebhook(Struct, rename="camel"):
    """A webhook endpoint with its headers, whose values are hidden."""

    id: str
    url: str
    events: list[str]
    active: bool
    created_at: Timestamp
    headers: dict[str, Literal["***"]]
    secret: Annotated[str, Meta(description="shown once, when it is created")] | UnsetType = UNSET


class ChirpWebhooks(Struct, rename="camel"):
    """A page of webhook endpoints."""

    data: list[ChirpWebhook]
    total_count: Count


@CHIRP.post(PATH, status=201, errors=(422, 503))
async def create(context: Context, body: NewWebhook) -> ChirpWebhook:
    """Register a webhook endpoint with custom headers."""
    endpoint = await kept.create(context, body, Style.CHIRP)
    return _shown(endpoint, endpoint.secret)


@CHIRP.get(PATH, errors=(503,))
async def list_endpoints(context: Context, query: Page) -> ChirpWebhooks:
    """List the line's endpoints of this face."""
    found = await kept.of_style(context, Style.CHIRP)
    shown = found[query.offset : query.offset + query.limit]
    return ChirpWebhooks([_shown(endpoint) for endpoint in shown], len(found))


@CHIRP.get(PATH + "/{id}", errors=(404, 503))
async def show(context: Context) -> ChirpWebhook:
    """Return one endpoint."""
    return _shown(await kept.find(context))


@CHIRP.put(PATH + "/{id}", errors=(404, 422, 503))
async def change(context: Context, body: WebhookChange) -> ChirpWebhook:
    """Change the named fields of an endpoint."""
    return _shown(await kept.change(context, body))


@CHIRP.delete(PATH + "/{id}", errors=(404, 503))
async def delete(context: Context) -> WebhookDeleted:
    """Remove an endpoint."""
    return await kept.delete(context)


OPERATIONS: Final = (create, list_endpoints, show, change, delete)


def _shown(endpoint: Endpoint, secret: str | UnsetType = UNSET) -> ChirpWebhook:
    return ChirpWebhook(
        endpoint.id,
        endpoint.url,
        list(endpoint.events),
        endpoint.active,
        kept.time_of(endpoint.created_at),
        # Headers are how Chirp's receivers recognise the caller: their values are secrets.
        dict.fromkeys(endpoint.headers, "***"),
        secret,
    )
