"""Webhook endpoints as each face registers them, and the native list of what nobody took.

`/webhook` has one endpoint of each style: WaGo's form delivery (`WebhookURL`), ZuckZapGo's
(`webhookurl`) and ours (`url`). `/api/v1/webhooks` (WADial) and `/v1/webhooks` (Chirp) have many.
A URL is judged when it is registered and again whenever it is called.
"""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from sqlite3 import Connection
from typing import Any, Final

from aiohttp import web

from bridge.api import render
from bridge.api.body import Body, read_body
from bridge.api.faces.chirp.commands import of_test_key
from bridge.api.faces.wadial import words as wadial_words
from bridge.api.services import SERVICES
from bridge.api.webhook_fields import active, event_names, extra_headers, new_secret, numbers, page
from bridge.call.model import LineName
from bridge.errors import InvalidRequest, about_field
from bridge.net import deliveries, endpoints
from bridge.net.deliveries import Dead
from bridge.net.endpoints import Endpoint
from bridge.wire.iso8601 import iso8601
from bridge.wire.webhook import Format, Style, native

SLOTS: Final[Mapping[str, Style]] = {
    "WebhookURL": Style.WAGO,
    "webhookurl": Style.ZUCKZAPGO,
    "webhookUrl": Style.ZUCKZAPGO,
    "url": Style.NATIVE,
}
"""Fields of `/webhook`, and in whose words the URL in each is told."""


# /webhook


async def set_slot(request: web.Request) -> web.Response:
    """Register the URL of one style, in place of the one there was."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    field, style = next(((name, SLOTS[name]) for name in SLOTS if body.has(name)), ("", None))
    if style is None:
        raise InvalidRequest("missing WebhookURL in payload", field="WebhookURL")
    wanted = Endpoint(
        id=_slot(line, style),
        line=line,
        url=await _url(request, body, field),
        style=style,
        created_at=_now(),
        events=event_names(body, "events", "Subscribe", "subscribe"),
        headers=extra_headers(body),
        format=_format(body, Format.FORM if style is Style.WAGO else Format.JSON),
        secret=new_secret(),
        token=_token(request) if style is Style.WAGO or body.has("format") else "",
        active=active(body),
    )
    await request.app[SERVICES].database.run(lambda connection: endpoints.put(connection, wanted))
    return render.success(_told_slot(wanted) | {"secret": wanted.secret})


async def get_slots(request: web.Request) -> web.Response:
    """Give the URLs that are registered, under the names of all who ask."""
    line = request.app[SERVICES].keys.line(request)
    found = await _slots(request, line)
    shown = next(iter(found), None)
    first = _told_slot(shown) if shown else {"webhook": "", "subscribe": [], "active": False}
    return render.success(first | {"webhooks": [_told_slot(endpoint) for endpoint in found]})


async def delete_slots(request: web.Request) -> web.Response:
    """Forget the URLs, and what was still to be delivered to them."""
    line = request.app[SERVICES].keys.line(request)
    found = await _slots(request, line)

    def delete(connection: Connection) -> None:
        for endpoint in found:
            endpoints.delete(connection, line, endpoint.id)

    await request.app[SERVICES].database.run(delete)
    return render.success({"details": "webhook deleted", "webhook": ""})


# WADial


async def wadial_create(request: web.Request) -> web.Response:
    """Register an endpoint; the secret is shown this once."""
    endpoint = await _create(request, Style.WADIAL)
    shown = _told_wadial(endpoint) | {"secret": endpoint.secret}
    return web.json_response({"data": shown}, status=HTTPStatus.CREATED)


async def wadial_list(request: web.Request) -> web.Response:
    """List the line's endpoints of this face."""
    found = await _of_style(request, Style.WADIAL)
    return wadial_words.success([_told_wadial(endpoint) for endpoint in found])


async def wadial_get(request: web.Request) -> web.Response:
    """Give one endpoint."""
    return wadial_words.success(_told_wadial(await _one(request)))


async def wadial_change(request: web.Request) -> web.Response:
    """Change what is named of an endpoint."""
    return wadial_words.success(_told_wadial(await _change(request)))


async def wadial_delete(request: web.Request) -> web.Response:
    """Remove an endpoint."""
    endpoint_id = await _delete(request)
    return wadial_words.success({"id": endpoint_id, "deleted": True})


# Chirp


async def chirp_create(request: web.Request) -> web.Response:
    """Register an endpoint with headers of the customer's choice."""
    endpoint = await _create(request, Style.CHIRP)
    shown = _told_chirp(endpoint) | {"secret": endpoint.secret}
    return web.json_response(shown, status=HTTPStatus.CREATED)


async def chirp_list(request: web.Request) -> web.Response:
    """List the line's endpoints of this face, a page of them."""
    found = await _of_style(request, Style.CHIRP)
    offset, limit = page(request)
    shown = [_told_chirp(endpoint) for endpoint in found[offset : offset + limit]]
    return web.json_response({"data": shown, "totalCount": len(found)})


async def chirp_get(request: web.Request) -> web.Response:
    """Give one endpoint."""
    return web.json_response(_told_chirp(await _one(request)))


async def chirp_change(request: web.Request) -> web.Response:
    """Change what is named of an endpoint."""
    return web.json_response(_told_chirp(await _change(request)))


async def chirp_delete(request: web.Request) -> web.Response:
    """Remove an endpoint."""
    endpoint_id = await _delete(request)
    return web.json_response({"id": endpoint_id, "deleted": True})


# What nobody took


async def dead(request: web.Request) -> web.Response:
    """List deliveries that were given up, oldest first; `?after=` goes on behind one."""
    line = request.app[SERVICES].keys.line(request)
    after, limit = page(request, start="after")
    found = await request.app[SERVICES].database.run(
        lambda connection: deliveries.dead(connection, line, after=after, limit=limit)
    )
    return render.success({"dead": [_told_dead(one) for one in found]})


async def replay(request: web.Request) -> web.Response:
    """Deliver what was given up once more: `ids` of the list, or all of it."""
    line = request.app[SERVICES].keys.line(request)
    chosen = numbers(await read_body(request), "ids")
    replayed = await request.app[SERVICES].webhooks.replay(line, chosen)
    return render.success({"replayed": replayed})


ROUTES = (
    web.post("/webhook", set_slot),
    web.put("/webhook", set_slot),
    web.get("/webhook", get_slots),
    web.delete("/webhook", delete_slots),
    web.post("/api/v1/webhooks", wadial_create),
    web.get("/api/v1/webhooks", wadial_list),
    web.get("/api/v1/webhooks/{id}", wadial_get),
    web.put("/api/v1/webhooks/{id}", wadial_change),
    web.delete("/api/v1/webhooks/{id}", wadial_delete),
    web.post("/v1/webhooks", chirp_create),
    web.get("/v1/webhooks", chirp_list),
    web.get("/v1/webhooks/{id}", chirp_get),
    web.put("/v1/webhooks/{id}", chirp_change),
    web.delete("/v1/webhooks/{id}", chirp_delete),
    web.get("/events/dead", dead),
    web.post("/events/replay", replay),
)


async def _create(request: web.Request, style: Style) -> Endpoint:
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    wanted = Endpoint(
        id=f"wh_{secrets.token_hex(12)}",
        line=line,
        url=await _url(request, body, "url"),
        style=style,
        created_at=_now(),
        events=event_names(body, "events"),
        headers=extra_headers(body),
        secret=new_secret(),
        test=of_test_key(request),
        base=request.app[SERVICES].site.base(request),
        active=active(body),
    )
    await request.app[SERVICES].database.run(lambda connection: endpoints.put(connection, wanted))
    return wanted


async def _change(request: web.Request) -> Endpoint:
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    changes: dict[str, Any] = {}
    if body.has("url"):
        changes["url"] = await _url(request, body, "url")
    if body.has("events"):
        changes["events"] = event_names(body, "events")
    if body.has("headers"):
        changes["headers"] = extra_headers(body)
    if body.has("active", "Active"):
        changes["active"] = active(body)
    endpoint_id = request.match_info["id"]
    return await request.app[SERVICES].database.run(
        lambda connection: endpoints.change(connection, line, endpoint_id, **changes)
    )


async def _one(request: web.Request) -> Endpoint:
    line, endpoint_id = request.app[SERVICES].keys.line(request), request.match_info["id"]
    return await request.app[SERVICES].database.run(
        lambda connection: endpoints.get(connection, line, endpoint_id)
    )


async def _delete(request: web.Request) -> str:
    line, endpoint_id = request.app[SERVICES].keys.line(request), request.match_info["id"]
    await request.app[SERVICES].database.run(
        lambda connection: endpoints.delete(connection, line, endpoint_id)
    )
    return endpoint_id


async def _of_style(request: web.Request, style: Style) -> list[Endpoint]:
    line = request.app[SERVICES].keys.line(request)
    found = await request.app[SERVICES].database.run(
        lambda connection: endpoints.of_line(connection, line)
    )
    return [endpoint for endpoint in found if endpoint.style is style]


async def _slots(request: web.Request, line: LineName) -> list[Endpoint]:
    found = await request.app[SERVICES].database.run(
        lambda connection: endpoints.of_line(connection, line)
    )
    slots = {_slot(line, style) for style in SLOTS.values()}
    return [endpoint for endpoint in found if endpoint.id in slots]


async def _url(request: web.Request, body: Body, field: str) -> str:
    """Give the URL in a field, once the guard has nothing against it."""
    url = body.text(field)
    with about_field(field):
        await request.app[SERVICES].http.of(request.app[SERVICES].keys.line(request)).check(url)
    return url


def _format(body: Body, default: Format) -> Format:
    text = body.optional_text("format", "Format")
    if text is None:
        return default
    if text not in tuple(Format):
        name = body.spelt("format", "Format")
        raise InvalidRequest(f'{name}: expected "json" or "form"', field=name)
    return Format(text)


def _slot(line: LineName, style: Style) -> str:
    return f"slot {style} {line}"


def _token(request: web.Request) -> str:
    key = request.app[SERVICES].keys.known(request)
    return key.decode(errors="replace") if key else ""


def _told_slot(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "webhook": endpoint.url,
        "webhookurl": endpoint.url,
        "style": endpoint.style.value,
        "format": endpoint.format.value,
        "events": list(endpoint.events),
        "subscribe": list(endpoint.events),
        "active": endpoint.active,
    }


def _told_wadial(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": list(endpoint.events),
        "active": endpoint.active,
        "createdAt": iso8601(datetime.fromtimestamp(endpoint.created_at, UTC)),
    }


def _told_chirp(endpoint: Endpoint) -> dict[str, Any]:
    # Headers are how Chirp's receivers know who calls: their values are secrets.
    return _told_wadial(endpoint) | {"headers": dict.fromkeys(endpoint.headers, "***")}


def _told_dead(one: Dead) -> dict[str, Any]:
    return {
        "id": one.seq,
        "endpoint": one.endpoint,
        "attempts": one.attempts,
        "error": one.error,
        "diedAt": iso8601(datetime.fromtimestamp(one.dead_at, UTC)),
        "event": native(one.event),
    }


def _now() -> float:
    return datetime.now(UTC).timestamp()
