"""What the operator's own credential opens: lines and their keys, changed without a restart."""

import logging
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from bridge.api import render
from bridge.api.body import PHONE_NUMBER, read_body
from bridge.api.services import SERVICES
from bridge.call.model import LineName
from bridge.errors import InvalidRequest
from bridge.node.line_book import KnownLine, StoredKey
from bridge.node.publisher import new_event
from bridge.wire.call_event import EventType
from bridge.wire.iso8601 import iso8601

log = logging.getLogger(__name__)

MAX_NUMBERS: Final = 64
MAX_OVERLAP_SECONDS: Final = 30 * 86_400
LINES: Final = "/admin/lines"
LINE: Final = LINES + "/{line}"


async def list_lines(request: web.Request) -> web.Response:
    """List all lines with the ids of their keys, never a key."""
    request.app[SERVICES].keys.check_admin(request)
    return render.success(
        {"lines": [_shown(line) for line in request.app[SERVICES].line_book.all()]}
    )


async def create(request: web.Request) -> web.Response:
    """Make a line; its key is shown this once."""
    admin = request.app[SERVICES].keys.check_admin(request)
    body = await read_body(request)
    numbers = body.texts("numbers", most=MAX_NUMBERS) or []
    for number in numbers:
        if not PHONE_NUMBER.fullmatch(number):
            raise InvalidRequest(
                "numbers: expected digits, a + before them or not", field="numbers"
            )
    line, key = await request.app[SERVICES].line_book.create(body.text("name"), numbers)
    _note(request, admin, line.name, EventType.LINE_CREATED, {"keyId": line.keys[0].key_id})
    return render.success({**_shown(line), "key": key})


async def show(request: web.Request) -> web.Response:
    """Show one line."""
    request.app[SERVICES].keys.check_admin(request)
    return render.success(_shown(request.app[SERVICES].line_book.find(_named(request))))


async def remove(request: web.Request) -> web.Response:
    """Remove a line that was made here; its calls end."""
    admin = request.app[SERVICES].keys.check_admin(request)
    name = _named(request)
    await request.app[SERVICES].line_book.remove(name)
    _note(request, admin, LineName(name), EventType.LINE_REMOVED, {})
    return render.success({"ok": True})


async def add_key(request: web.Request) -> web.Response:
    """Give a line one more key, shown this once; with `expireOthersAfter` the others end then."""
    admin = request.app[SERVICES].keys.check_admin(request)
    body = await read_body(request)
    overlap = (
        body.number("expireOthersAfter", default=0, least=0, most=MAX_OVERLAP_SECONDS)
        if body.has("expireOthersAfter")
        else None
    )
    name = _named(request)
    stored, key = await request.app[SERVICES].line_book.add_key(name, others_end_in=overlap)
    _note(request, admin, LineName(name), EventType.LINE_KEY_ADDED, {"keyId": stored.key_id})
    return render.success({**_key(stored), "key": key})


async def remove_key(request: web.Request) -> web.Response:
    """Take a key from a line at once."""
    admin = request.app[SERVICES].keys.check_admin(request)
    name, key_id = _named(request), request.match_info["keyId"]
    await request.app[SERVICES].line_book.remove_key(name, key_id)
    _note(request, admin, LineName(name), EventType.LINE_KEY_REMOVED, {"keyId": key_id})
    return render.success({"ok": True})


async def pause(request: web.Request) -> web.Response:
    """Let a line make and take no calls; those that it has end, and its keys open nothing."""
    return await _pause(request, paused=True)


async def resume(request: web.Request) -> web.Response:
    """Let a paused line make and take calls again."""
    return await _pause(request, paused=False)


ROUTES: Final = (
    web.get(LINES, list_lines),
    web.post(LINES, create),
    web.get(LINE, show),
    web.delete(LINE, remove),
    web.post(LINE + "/keys", add_key),
    web.delete(LINE + "/keys/{keyId}", remove_key),
    web.post(LINE + "/pause", pause),
    web.post(LINE + "/resume", resume),
)


async def _pause(request: web.Request, *, paused: bool) -> web.Response:
    admin = request.app[SERVICES].keys.check_admin(request)
    line = await request.app[SERVICES].line_book.pause(_named(request), paused=paused)
    kind = EventType.LINE_PAUSED if paused else EventType.LINE_RESUMED
    _note(request, admin, line.name, kind, {})
    return render.success(_shown(line))


def _named(request: web.Request) -> str:
    return request.match_info["line"]


def _note(
    request: web.Request, admin: str, line: LineName, kind: EventType, data: dict[str, Any]
) -> None:
    """Record who changed what, in the log and as an event of the line."""
    change = kind.removeprefix("line.")
    log.info("admin.line", extra={"line": line, "change": change, "admin": admin, **data})
    request.app[SERVICES].events.append(new_event(kind, line, None, {"admin": admin, **data}))


def _shown(line: KnownLine) -> dict[str, Any]:
    return {
        "name": line.name,
        "source": "admin" if line.made else "settings",
        "paused": line.paused,
        "numbers": list(line.numbers),
        "keys": [_key(key) for key in line.keys],
    }


def _key(key: StoredKey) -> dict[str, Any]:
    return {
        "keyId": key.key_id,
        "createdAt": _moment(key.created_at or None),
        "expiresAt": _moment(key.expires_at),
    }


def _moment(at: float | None) -> str | None:
    return None if at is None else iso8601(datetime.fromtimestamp(at, UTC))
