"""Wavix's phone numbers, `/v1/mydids`: the line's numbers, and where each tells of inbound calls.

A number's `id` is the number itself, in digits. Of the vendor's settings `call_status_url` is taken.
https://docs.wavix.com/api-reference/my-numbers
"""

from datetime import UTC, datetime
from sqlite3 import Connection
from typing import Any, Final

from aiohttp import web

from bridge.api.body import read_body
from bridge.api.faces.wavix.pages import page_of
from bridge.api.faces.wavix.words import check_url
from bridge.api.services import SERVICES
from bridge.api.webhook_fields import new_secret
from bridge.call.model import LineName
from bridge.errors import InvalidRequest, NotFound, Unsupported
from bridge.net import endpoints
from bridge.net.endpoints import Endpoint
from bridge.wire.webhook import Style

NUMBERS: Final = "/v1/mydids"
NUMBER: Final = NUMBERS + "/{number}"
CALLBACK: Final = "call_status_url"
NOT_HERE: Final = (
    "call_recording_enabled",
    "transcription_enabled",
    "transcription_threshold",
    "sms_relay_url",
)
"""What the vendor lets set besides; this bridge has it for a line as a whole, or not at all."""


async def list_numbers(request: web.Request) -> web.Response:
    """List the line's numbers; `search` finds those that contain these digits."""
    line = request.app[SERVICES].keys.line(request)
    wanted, hooks = request.query.get("search", ""), await _hooks(request, line)
    found = [number for number in request.app[SERVICES].policies[line].numbers if wanted in number]
    return web.json_response(page_of(request, [_shown(number, hooks) for number in found]))


async def number(request: web.Request) -> web.Response:
    """Return one number."""
    line = request.app[SERVICES].keys.line(request)
    found = _own(request, line)
    return web.json_response(_shown(found, await _hooks(request, line)))


async def change(request: web.Request) -> web.Response:
    """Set or, with null, remove a number's callback; `secret`, our addition, is shown this once."""
    line = request.app[SERVICES].keys.line(request)
    body, found = await read_body(request), _own(request, line)
    if refused := [name for name in NOT_HERE if body.has(name)]:
        raise Unsupported(f"{', '.join(refused)}: only {CALLBACK} can be set for a number here")
    if not body.names(CALLBACK):
        raise InvalidRequest(f"missing {CALLBACK} in payload", field=CALLBACK)
    url = await check_url(request, body, CALLBACK)
    identity = f"number {found} {line}"
    if not url:
        await request.app[SERVICES].database.run(
            lambda connection: _delete(connection, line, identity)
        )
        return web.json_response(_shown(found, {}))
    wanted = Endpoint(
        id=identity,
        line=line,
        url=url,
        style=Style.WAVIX,
        created_at=datetime.now(UTC).timestamp(),
        secret=new_secret(),
        number=found,
    )
    await request.app[SERVICES].database.run(lambda connection: endpoints.put(connection, wanted))
    return web.json_response(_shown(found, {found: url}) | {"secret": wanted.secret})


ROUTES: Final = (
    web.get(NUMBERS, list_numbers),
    web.get(NUMBER, number),
    web.put(NUMBER, change),
)


def _own(request: web.Request, line: LineName) -> str:
    """Return the number that the path names, with `+`.

    Raises:
        NotFound: it is none of the line's.
    """
    found = "+" + request.match_info["number"].removeprefix("+")
    if found not in request.app[SERVICES].policies[line].numbers:
        raise NotFound("this is no number of your line (lines.NAME.numbers)")
    return found


async def _hooks(request: web.Request, line: LineName) -> dict[str, str]:
    """Return the callbacks of the line's numbers."""
    found = await request.app[SERVICES].database.run(
        lambda connection: endpoints.of_line(connection, line)
    )
    return {endpoint.number: endpoint.url for endpoint in found if endpoint.number}


def _delete(connection: Connection, line: LineName, identity: str) -> None:
    if endpoints.find(connection, identity) is not None:
        endpoints.delete(connection, line, identity)


def _shown(number: str, hooks: dict[str, str]) -> dict[str, Any]:
    digits = number.removeprefix("+")
    return {"id": int(digits), "number": digits, CALLBACK: hooks.get(number)}
