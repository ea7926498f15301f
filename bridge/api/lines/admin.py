"""The operator's routes: lines and their keys, changed without a restart."""

import logging
import re
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Struct, UnsetType

from bridge.api.server.fields import Json, Timestamp, field, wrong_field
from bridge.api.server.operation import ADMIN, Context, Done, Group
from bridge.api.server.services import EVENTS, LINES
from bridge.call.model import LineName
from bridge.node.line_book import KnownLine, StoredKey
from bridge.node.publisher import new_event
from bridge.wire.call_event import EventType
from bridge.wire.iso8601 import iso8601

log = logging.getLogger(__name__)

MAX_OVERLAP_SECONDS: Final = 30 * 86_400
PATH: Final = "/admin/lines"
LINE: Final = PATH + "/{line}"

GROUP: Final = Group(name="Admin", auth=ADMIN)
_REFUSED: Final = (404, 503)
_CONFLICT: Final = (404, 409, 503)
_PHONE_NUMBER: Final = re.compile(r"\+?[1-9][0-9]{5,14}")


def _read_numbers(value: Json, name: str) -> Json:
    if isinstance(value, list) and not all(
        isinstance(number, str) and _PHONE_NUMBER.fullmatch(number) for number in value
    ):
        raise wrong_field(name, "expected digits, with or without a leading +")
    return value


class NewLine(Struct):
    """A line to create."""

    name: Annotated[str, field("a-z, 0-9, - and _")]
    numbers: Annotated[list[str], field(read=_read_numbers, max_length=64)] = []


class NewKey(Struct, rename="camel"):
    """How a new key replaces the others."""

    expire_others_after: (
        Annotated[int, field("seconds; without it they stay", ge=0, le=MAX_OVERLAP_SECONDS)] | None
    ) = None


class AdminKey(Struct, rename="camel"):
    """A key without its secret."""

    key_id: Annotated[str, field("names the key; opens nothing")]
    created_at: Timestamp | None
    expires_at: Timestamp | None
    key: Annotated[str, field("shown this once")] | UnsetType = UNSET


class AdminLine(Struct):
    """A line with the ids of its keys."""

    name: str
    source: Literal["settings", "admin"]
    paused: bool
    numbers: list[str]
    keys: list[AdminKey]
    key: Annotated[str, field("shown this once")] | UnsetType = UNSET


class AdminLines(Struct):
    """All lines."""

    lines: list[AdminLine]


@GROUP.get(PATH, errors=_REFUSED)
async def list_lines(context: Context) -> AdminLines:
    """List all lines with the ids of their keys."""
    return AdminLines([_line(line) for line in context[LINES].line_book.all()])


@GROUP.post(PATH, errors=_CONFLICT)
async def create(context: Context, body: NewLine) -> AdminLine:
    """Create a line that calls browsers and simulated contacts.

    WhatsApp and gateway accounts are configured in the settings. A name can be used only once.
    """
    line, key = await context[LINES].line_book.create(body.name, body.numbers)
    _log(context, line.name, EventType.LINE_CREATED, {"keyId": line.keys[0].key_id})
    return _line(line, key)


@GROUP.get(LINE, errors=_REFUSED)
async def show(context: Context) -> AdminLine:
    """Show one line."""
    return _line(context[LINES].line_book.find(context.path("line")))


@GROUP.delete(LINE, errors=_CONFLICT)
async def remove(context: Context) -> Done:
    """Remove a line that was created here; its calls end."""
    name = context.path("line")
    await context[LINES].line_book.remove(name)
    _log(context, LineName(name), EventType.LINE_REMOVED, {})
    return Done()


@GROUP.post(LINE + "/keys", errors=_CONFLICT)
async def add_key(context: Context, body: NewKey) -> AdminKey:
    """Add a key to a line; with `expireOthersAfter` its other keys expire then."""
    name = context.path("line")
    stored, key = await context[LINES].line_book.add_key(
        name, others_end_in=body.expire_others_after
    )
    _log(context, LineName(name), EventType.LINE_KEY_ADDED, {"keyId": stored.key_id})
    return _key(stored, key)


@GROUP.delete(LINE + "/keys/{keyId}", errors=_REFUSED)
async def remove_key(context: Context) -> Done:
    """Remove a key of a line at once."""
    name, key_id = context.path("line"), context.path("keyId")
    await context[LINES].line_book.remove_key(name, key_id)
    _log(context, LineName(name), EventType.LINE_KEY_REMOVED, {"keyId": key_id})
    return Done()


@GROUP.post(LINE + "/pause", errors=_REFUSED)
async def pause(context: Context) -> AdminLine:
    """Pause a line: its calls end, it makes and takes none, and its keys open nothing."""
    return await _pause(context, paused=True)


@GROUP.post(LINE + "/resume", errors=_REFUSED)
async def resume(context: Context) -> AdminLine:
    """Resume a paused line."""
    return await _pause(context, paused=False)


async def _pause(context: Context, *, paused: bool) -> AdminLine:
    line = await context[LINES].line_book.pause(context.path("line"), paused=paused)
    _log(context, line.name, EventType.LINE_PAUSED if paused else EventType.LINE_RESUMED, {})
    return _line(line)


def _log(context: Context, line: LineName, event: EventType, data: dict[str, Any]) -> None:
    """Record who changed what, in the log and as an event of the line."""
    admin, change = context.access.admin, event.removeprefix("line.")
    log.info("admin.line", extra={"line": line, "change": change, "admin": admin, **data})
    context[EVENTS].log.append(new_event(event, line, None, {"admin": admin, **data}))


def _line(line: KnownLine, key: str | UnsetType = UNSET) -> AdminLine:
    return AdminLine(
        name=line.name,
        source="admin" if line.made else "settings",
        paused=line.paused,
        numbers=list(line.numbers),
        keys=[_key(one) for one in line.keys],
        key=key,
    )


def _key(key: StoredKey, shown: str | UnsetType = UNSET) -> AdminKey:
    return AdminKey(key.key_id, iso8601(key.created_at or None), iso8601(key.expires_at), shown)
