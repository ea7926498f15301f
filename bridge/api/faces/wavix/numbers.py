"""Wavix's phone numbers, `/v1/mydids`: the line's numbers, and the callback URL of each.

A number's `id` is the number itself, in digits. Of the vendor's settings `call_status_url` is supported.
https://docs.wavix.com/api-reference/my-numbers
"""

from contextlib import suppress
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from bridge.api.events.webhook_endpoints import of_line, register
from bridge.api.faces.wavix.words import WAVIX, PageQuery, Pagination, pagination
from bridge.api.server.fields import Count, Url, field
from bridge.api.server.operation import BARE, Context
from bridge.api.server.services import EVENTS, LINES
from bridge.errors import InvalidRequest, NotFound, Unsupported
from bridge.stores import endpoints
from bridge.wire.webhook.formats import Style

NUMBERS: Final = "/v1/mydids"
NUMBER: Final = NUMBERS + "/{number}"
CALLBACK: Final = "call_status_url"


class NumberQuery(PageQuery):
    """Which numbers are wanted."""

    search: Annotated[str, field("digits in the number")] = ""


class WavixNumber(Struct):
    """A number of the line."""

    id: Count
    number: Annotated[str, Meta(description="digits; the `id` is the same")]
    call_status_url: Url | None
    secret: (
        Annotated[
            str, Meta(description="our addition: signs deliveries; shown once, when the URL is set")
        ]
        | UnsetType
    ) = UNSET


class WavixNumbers(Struct):
    """A page of numbers."""

    items: list[WavixNumber]
    pagination: Pagination


Refused: TypeAlias = Annotated[Any, field("answers 501")]
"""Settings that this bridge has for a line as a whole, or not at all."""


class NumberChange(Struct):
    """Where events of a number's inbound calls are sent; null removes it."""

    call_status_url: Url | UnsetType | None = UNSET
    call_recording_enabled: Refused = None
    transcription_enabled: Refused = None
    transcription_threshold: Refused = None
    sms_relay_url: Refused = None


@WAVIX.get(NUMBERS, envelope=BARE, errors=(503,))
async def list_numbers(context: Context, query: NumberQuery) -> WavixNumbers:
    """List the line's numbers."""
    numbers = context[LINES].policies[context.line].numbers
    hooks, found = await _hooks(context), [one for one in numbers if query.search in one]
    wanted = found[query.offset : query.offset + query.per_page]
    shown = [_shown(number, hooks) for number in wanted]
    return WavixNumbers(shown, pagination(query, total=len(found)))


@WAVIX.get(NUMBER, envelope=BARE, errors=(404, 503))
async def number(context: Context) -> WavixNumber:
    """Return one of the line's numbers."""
    return _shown(_own(context), await _hooks(context))


@WAVIX.put(NUMBER, envelope=BARE, errors=(404, 422, 501, 503))
async def change(context: Context, body: NumberChange) -> WavixNumber:
    """Set where events of a number's inbound calls are sent, or remove it with null.

    They are sent to the line's `on-call` webhook as well.
    """
    found = _own(context)
    given = [name for name, value in msgspec.structs.asdict(body).items() if value is not None]
    if refused := [name for name in given if name != CALLBACK]:
        raise Unsupported(f"{', '.join(refused)}: only {CALLBACK} can be set for a number here")
    if body.call_status_url is UNSET:
        raise InvalidRequest(f"missing {CALLBACK} in payload", field=CALLBACK)
    identity = f"number {found} {context.line}"
    if not body.call_status_url:
        with suppress(NotFound):
            await context[EVENTS].database.run(endpoints.delete, context.line, identity)
        return _shown(found, {})
    wanted = await register(
        context,
        body.call_status_url,
        CALLBACK,
        id=identity,
        style=Style.WAVIX,
        number=found,
    )
    return _shown(found, {found: wanted.url}, wanted.secret)


def _own(context: Context) -> str:
    """Return the line's number that the path names, with `+`."""
    found = "+" + context.path("number").removeprefix("+")
    if found not in context[LINES].policies[context.line].numbers:
        raise NotFound("your line has no such number (lines.NAME.numbers)")
    return found


async def _hooks(context: Context) -> dict[str, str]:
    """Return the callbacks of the line's numbers."""
    found = await of_line(context)
    return {endpoint.number: endpoint.url for endpoint in found if endpoint.number}


def _shown(number: str, hooks: dict[str, str], secret: str | UnsetType = UNSET) -> WavixNumber:
    digits = number.removeprefix("+")
    return WavixNumber(int(digits), digits, hooks.get(number), secret)
