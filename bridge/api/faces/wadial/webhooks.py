"""WADial's webhook endpoints, `/api/v1/webhooks`."""

from typing import Final

from bridge.api.events import webhook_endpoints
from bridge.api.events.webhook_endpoints import NewWebhook, WebhookEndpoint
from bridge.api.faces.wadial.words import WADIAL
from bridge.api.server.operation import Context
from bridge.wire.webhook.formats import Style

PATH: Final = "/api/v1/webhooks"


@WADIAL.post(PATH, status=201, errors=(422, 503))
async def create(context: Context, body: NewWebhook) -> WebhookEndpoint:
    """Register a webhook endpoint; the secret is shown this once."""
    return await webhook_endpoints.create(context, body, Style.WADIAL)


@WADIAL.get(PATH, errors=(503,))
async def list_endpoints(context: Context) -> list[WebhookEndpoint]:
    """List the line's endpoints of this face."""
    return await webhook_endpoints.of_style(context, Style.WADIAL)


show = WADIAL.get(PATH + "/{id}", errors=(404, 503))(webhook_endpoints.show)
change = WADIAL.put(PATH + "/{id}", errors=(404, 422, 503))(webhook_endpoints.change)
delete = WADIAL.delete(PATH + "/{id}", errors=(404, 503))(webhook_endpoints.delete)
