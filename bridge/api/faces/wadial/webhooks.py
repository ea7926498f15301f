"""WADial's webhook endpoints, `/api/v1/webhooks`."""

from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from bridge.api import webhook_endpoints as kept
from bridge.api.faces.wadial.words import WADIAL
from bridge.api.fields import Timestamp
from bridge.api.operation import Context
from bridge.api.webhook_endpoints import NewWebhook, WebhookChange, WebhookDeleted
from bridge.net.endpoints import Endpoint
from bridge.wire.webhook import Style

PATH: Final = "/api/v1/webhooks"


class WadialWebhook(Struct, rename="camel"):
    """A webhook endpoint."""

    id: str
    url: str
    events: list[str]
    active: bool
    created_at: Timestamp
    secret: Annotated[str, Meta(description="shown once, when it is created")] | UnsetType = UNSET


@WADIAL.post(PATH, status=201, errors=(422, 503))
async def create(context: Context, body: NewWebhook) -> WadialWebhook:
    """Register a webhook endpoint; the secret is shown this once."""
    endpoint = await kept.create(context, body, Style.WADIAL)
    return _shown(endpoint, endpoint.secret)


@WADIAL.get(PATH, errors=(503,))
async def list_endpoints(context: Context) -> list[WadialWebhook]:
    """List the line's endpoints of this face."""
    return [_shown(endpoint) for endpoint in await kept.of_style(context, Style.WADIAL)]


@WADIAL.get(PATH + "/{id}", errors=(404, 503))
async def show(context: Context) -> WadialWebhook:
    """Return one endpoint."""
    return _shown(await kept.find(context))


@WADIAL.put(PATH + "/{id}", errors=(404, 422, 503))
async def change(context: Context, body: WebhookChange) -> WadialWebhook:
    """Change the named fields of an endpoint."""
    return _shown(await kept.change(context, body))


@WADIAL.delete(PATH + "/{id}", errors=(404, 503))
async def delete(context: Context) -> WebhookDeleted:
    """Remove an endpoint."""
    return await kept.delete(context)


OPERATIONS: Final = (create, list_endpoints, show, change, delete)


def _shown(endpoint: Endpoint, secret: str | UnsetType = UNSET) -> WadialWebhook:
    return WadialWebhook(
        endpoint.id,
        endpoint.url,
        list(endpoint.events),
        endpoint.active,
        kept.time_of(endpoint.created_at),
        secret,
    )
