"""Wavix's webhooks of a line: one URL for events during calls, one for what is told after them."""

from datetime import UTC, datetime
from http import HTTPStatus
from sqlite3 import Connection
from typing import Final

from aiohttp import web

from bridge.api.body import read_body
from bridge.api.faces.wavix.words import CALLS, check_url, success
from bridge.api.services import SERVICES
from bridge.api.webhook_fields import new_secret
from bridge.call.model import LineName
from bridge.errors import InvalidRequest, NotFound
from bridge.net import endpoints
from bridge.net.endpoints import Endpoint
from bridge.wire.webhook import Style

TYPES: Final = {"on-call": Style.WAVIX, "post-call": Style.WAVIX_POST_CALL}
WORDS: Final = {style: word for word, style in TYPES.items()}


async def create(request: web.Request) -> web.Response:
    """Register a URL in place of the one there was; the secret, our addition, is shown this once."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    body.text("url")
    style = _style(body.text("event_type"))
    wanted = Endpoint(
        id=_id(line, style),
        line=line,
        url=await check_url(request, body, "url"),
        style=style,
        created_at=datetime.now(UTC).timestamp(),
        secret=new_secret(),
    )
    await request.app[SERVICES].database.run(lambda connection: endpoints.put(connection, wanted))
    answer = success(event_type=WORDS[style], url=wanted.url, secret=wanted.secret)
    answer.set_status(HTTPStatus.CREATED)
    return answer


async def list_hooks(request: web.Request) -> web.Response:
    """List the URLs that are registered."""
    line = request.app[SERVICES].keys.line(request)
    found = await request.app[SERVICES].database.run(
        lambda connection: endpoints.of_line(connection, line)
    )
    hooks = [
        {"event_type": WORDS[endpoint.style], "url": endpoint.url}
        for endpoint in found
        if endpoint.style in WORDS and not endpoint.number
    ]
    return success(webhooks=hooks)


async def delete(request: web.Request) -> web.Response:
    """Forget the URL of the type that `?event_type=` names."""
    line = request.app[SERVICES].keys.line(request)
    identity = _id(line, _style(request.query.get("event_type", "")))

    def work(connection: Connection) -> None:
        endpoints.delete(connection, line, identity)

    try:
        await request.app[SERVICES].database.run(work)
    except NotFound:
        raise NotFound("no webhook of this event_type is registered") from None
    return success()


ROUTES: Final = tuple(
    route
    for path in (CALLS + "/webhooks", "/v1/calls/webhooks")
    for route in (web.post(path, create), web.get(path, list_hooks), web.delete(path, delete))
)


def _style(word: str) -> Style:
    if word not in TYPES:
        raise InvalidRequest(f"event_type: expected {' or '.join(TYPES)}", field="event_type")
    return TYPES[word]


def _id(line: LineName, style: Style) -> str:
    return f"slot {style} {line}"
