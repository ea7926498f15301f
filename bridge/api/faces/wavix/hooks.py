"""Wavix's webhooks of a line: one URL for events during calls, one for what is sent after them."""

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from bridge.api.events.webhook_endpoints import of_line, register
from bridge.api.faces.wavix.words import CALLS, WAVIX, Success
from bridge.api.server.fields import Url
from bridge.api.server.operation import Context
from bridge.api.server.services import EVENTS
from bridge.errors import NotFound
from bridge.stores import endpoints
from bridge.wire.webhook.formats import Style

HookType: TypeAlias = Literal["on-call", "post-call"]
STYLES: Final[dict[HookType, Style]] = {
    "on-call": Style.WAVIX,
    "post-call": Style.WAVIX_POST_CALL,
}
TYPES: Final = {style: kind for kind, style in STYLES.items()}
PATHS: Final = (CALLS + "/webhooks", "/v1/calls/webhooks")


class WavixNewWebhook(Struct):
    """A URL, and what is sent to it."""

    url: Url
    event_type: HookType


class WavixWebhook(Struct):
    """A registered URL."""

    event_type: HookType
    url: str


class WavixWebhookAdded(WavixWebhook):
    """A registered URL with its secret."""

    secret: Annotated[str, Meta(description="our addition: signs deliveries; shown this once")]


class WavixWebhooks(Struct):
    """The URLs that are registered."""

    webhooks: list[WavixWebhook]


class WebhookQuery(Struct):
    """Which URL is meant."""

    event_type: HookType


@WAVIX.post(*PATHS, status=201, errors=(422, 503))
async def create(context: Context, body: WavixNewWebhook) -> WavixWebhookAdded:
    """Register a URL for events during calls or after them, in place of the previous one."""
    wanted = await register(
        context,
        body.url,
        "url",
        id=_id(context, body.event_type),
        style=STYLES[body.event_type],
    )
    return WavixWebhookAdded(body.event_type, wanted.url, wanted.secret)


@WAVIX.get(*PATHS, errors=(503,))
async def list_hooks(context: Context) -> WavixWebhooks:
    """List the URLs that are registered."""
    return WavixWebhooks(
        [
            WavixWebhook(TYPES[endpoint.style], endpoint.url)
            for endpoint in await of_line(context)
            if endpoint.style in TYPES and not endpoint.number
        ]
    )


@WAVIX.delete(*PATHS, errors=(404, 503))
async def delete(context: Context, query: WebhookQuery) -> Success:
    """Remove the URL of a type."""
    identity = _id(context, query.event_type)
    try:
        await context[EVENTS].database.run(endpoints.delete, context.line, identity)
    except NotFound:
        raise NotFound("no webhook of this event_type is registered") from None
    return Success()


def _id(context: Context, kind: HookType) -> str:
    return f"slot {STYLES[kind]} {context.line}"
