"""Chirp's webhook endpoints, `/v1/webhooks`, with custom headers."""

from typing import Final

from msgspec import Struct

from bridge.api.events import webhook_endpoints
from bridge.api.events.webhook_endpoints import NewWebhook, WebhookEndpoint
from bridge.api.faces.chirp.words import CHIRP
from bridge.api.server.fields import Count, PaginationQuery
from bridge.api.server.operation import Context
from bridge.wire.webhook.formats import Style

PATH: Final = "/v1/webhooks"


class ChirpWebhooks(Struct, rename="camel"):
    """A page of webhook endpoints."""

    data: list[WebhookEndpoint]
    total_count: Count


@CHIRP.post(PATH, status=201, errors=(422, 503))
async def create(context: Context, body: NewWebhook) -> WebhookEndpoint:
    """Register a webhook endpoint with custom headers."""
    return await webhook_endpoints.create(context, body, Style.CHIRP)


@CHIRP.get(PATH, errors=(503,))
async def list_endpoints(context: Context, query: PaginationQuery) -> ChirpWebhooks:
    """List the line's endpoints of this face."""
    found = await webhook_endpoints.of_style(context, Style.CHIRP)
    return ChirpWebhooks(found[query.offset : query.offset + query.limit], len(found))


show = CHIRP.get(PATH + "/{id}", errors=(404, 503))(webhook_endpoints.show)
change = CHIRP.put(PATH + "/{id}", errors=(404, 422, 503))(webhook_endpoints.change)
delete = CHIRP.delete(PATH + "/{id}", errors=(404, 503))(webhook_endpoints.delete)
