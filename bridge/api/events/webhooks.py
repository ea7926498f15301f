"""The webhooks of a line, `/webhook`, and dead deliveries.

`/webhook` has one endpoint of each style: WaGo's form delivery (`WebhookURL`), ZuckZapGo's
(`webhookurl`) and ours (`url`). A URL is checked when it is registered and again whenever it is
called.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from bridge.api.events.webhook_endpoints import Active, EventNames, Headers, of_line, register
from bridge.api.server.fields import Count, Timestamp, Url, field
from bridge.api.server.operation import Context, Group
from bridge.api.server.services import ACCESS, EVENTS
from bridge.call.model import LineName
from bridge.db.database import Connection
from bridge.errors import InvalidRequest
from bridge.stores import deliveries, endpoints
from bridge.stores.deliveries import Dead
from bridge.stores.endpoints import Endpoint
from bridge.wire.iso8601 import iso8601
from bridge.wire.webhook.formats import Format, Style, native

SLOTS: Final[Mapping[str, Style]] = {
    "WebhookURL": Style.WAGO,
    "webhookurl": Style.ZUCKZAPGO,
    "webhookUrl": Style.ZUCKZAPGO,
    "url": Style.NATIVE,
}
"""Fields of `/webhook`, and the style of events sent to the URL in each."""

GROUP: Final = Group(name="Events and webhooks")


class NewSlot(Struct):
    """A URL for events; the name of its field chooses their style."""

    wago: Url | None = msgspec.field(name="WebhookURL", default=None)
    zuckzapgo: Url | None = msgspec.field(name="webhookurl", default=None)
    zuckzapgo_camel: Url | None = msgspec.field(name="webhookUrl", default=None)
    url: Url | None = None
    events: EventNames = []
    headers: Headers = {}
    format: Annotated[Format, field(spellings=("Format",))] | None = None
    active: Active = True


class VendorSlot(NewSlot):
    """The same in a vendor's words."""

    @staticmethod
    def is_meant(given: Mapping[str, Any]) -> bool:
        """Whether a request has a vendor's field."""
        return any(name in given for name, style in SLOTS.items() if style is not Style.NATIVE)


class WebhookSlot(Struct):
    """A registered URL, in the spellings of all vendors."""

    webhook: str
    webhookurl: str
    style: Literal["wago", "zuckzapgo", "native"]
    format: Format
    events: list[str]
    subscribe: list[str]
    active: bool
    secret: Annotated[str, Meta(description="signs deliveries; shown this once")] | UnsetType = (
        UNSET
    )


class WebhookSlots(Struct):
    """The URLs, and the first of them beside the list."""

    webhook: Annotated[str, Meta(description="empty when there is none")]
    subscribe: list[str]
    active: bool
    webhooks: list[WebhookSlot]
    webhookurl: str | UnsetType = UNSET
    style: str | UnsetType = UNSET
    format: str | UnsetType = UNSET
    events: list[str] | UnsetType = UNSET


class SlotsDeleted(Struct):
    """What was removed."""

    details: str = "webhook deleted"
    webhook: str = ""


class DeadQuery(Struct):
    """Which dead deliveries to list."""

    after: Annotated[int, Meta(ge=0, le=2**53)] = 0
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class DeadDelivery(Struct, rename="camel"):
    """A delivery without further retries."""

    id: Count
    endpoint: str
    attempts: Count
    error: str
    died_at: Timestamp
    event: dict[str, Any]


class DeadDeliveries(Struct):
    """Deliveries without further retries."""

    dead: list[DeadDelivery]


class Replay(Struct):
    """Which deliveries to replay; all by default."""

    ids: list[int] | None = None


class Replayed(Struct):
    """How many deliveries are queued again."""

    replayed: Count


async def set_slot(context: Context, body: VendorSlot | NewSlot) -> WebhookSlot:
    """Register the URL of one style, in place of the previous one.

    The field that holds the URL chooses the style of the events: `WebhookURL` WaGo's form,
    `webhookurl` ZuckZapGo's, `url` the native one. Its `secret` is in this answer only.
    """
    line = context.line
    urls = (body.wago, body.zuckzapgo, body.zuckzapgo_camel, body.url)
    name, url = next(
        ((one, url) for one, url in zip(SLOTS, urls, strict=True) if url is not None),
        ("WebhookURL", None),
    )
    if not url:
        raise InvalidRequest(f"missing {name} in payload", field=name)
    style = SLOTS[name]
    endpoint = await register(
        context,
        url,
        name,
        id=_slot(line, style),
        style=style,
        events=tuple(body.events),
        headers=body.headers,
        format=body.format or (Format.FORM if style is Style.WAGO else Format.JSON),
        token=_token(context) if style is Style.WAGO or body.format else "",
        active=body.active,
    )
    return _shown_slot(endpoint, endpoint.secret)


post_slot = GROUP.post("/webhook", errors=(422, 503))(set_slot)
put_slot = GROUP.put("/webhook", errors=(422, 503))(set_slot)


@GROUP.get("/webhook", errors=(503,))
async def get_slots(context: Context) -> WebhookSlots:
    """Return the registered URLs.

    The first is also beside the list, where both vendors' clients expect it.
    """
    shown = [_shown_slot(endpoint) for endpoint in await _slots(context)]
    if not shown:
        return WebhookSlots("", [], active=False, webhooks=[])
    first = msgspec.structs.asdict(shown[0])
    del first["secret"]
    return WebhookSlots(**first, webhooks=shown)


@GROUP.delete("/webhook", errors=(503,))
async def delete_slots(context: Context) -> SlotsDeleted:
    """Remove the URLs and their pending deliveries."""
    found = await _slots(context)

    def delete(connection: Connection) -> None:
        for endpoint in found:
            endpoints.delete(connection, context.line, endpoint.id)

    await context[EVENTS].database.run(delete)
    return SlotsDeleted()


@GROUP.get("/events/dead", errors=(503,))
async def dead(context: Context, query: DeadQuery) -> DeadDeliveries:
    """List dead webhook deliveries, which are not retried any more, oldest first."""
    found = await context[EVENTS].database.read(
        deliveries.dead, context.line, after=query.after, limit=query.limit
    )
    return DeadDeliveries([_shown_dead(one) for one in found])


@GROUP.post("/events/replay", errors=(503,))
async def replay(context: Context, body: Replay) -> Replayed:
    """Replay dead deliveries: `ids` of the list, or all of it."""
    chosen = None if body.ids is None else frozenset(body.ids)
    return Replayed(await context[EVENTS].webhooks.replay(context.line, chosen))


async def _slots(context: Context) -> list[Endpoint]:
    slots = {_slot(context.line, style) for style in SLOTS.values()}
    return [endpoint for endpoint in await of_line(context) if endpoint.id in slots]


def _slot(line: LineName, style: Style) -> str:
    return f"slot {style} {line}"


def _token(context: Context) -> str:
    key = context[ACCESS].keys.rate_key(context.http)
    return key.decode(errors="replace") if key else ""


def _shown_slot(endpoint: Endpoint, secret: str | UnsetType = UNSET) -> WebhookSlot:
    events = list(endpoint.events)
    return WebhookSlot(
        webhook=endpoint.url,
        webhookurl=endpoint.url,
        style=cast("Any", endpoint.style.value),
        format=endpoint.format,
        events=events,
        subscribe=events,
        active=endpoint.active,
        secret=secret,
    )


def _shown_dead(one: Dead) -> DeadDelivery:
    return DeadDelivery(
        one.seq, one.endpoint, one.attempts, one.error, iso8601(one.dead_at), native(one.event)
    )
