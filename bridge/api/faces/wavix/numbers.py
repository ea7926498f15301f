"""Wavix's phone numbers, `/v1/mydids`: the line's numbers, and the callback URL of each.

A number's `id` is the number itself, in digits. Of the vendor's settings `call_status_url` is supported.
https://docs.wavix.com/api-reference/my-numbers
"""

from sqlite3 import Connection
from typing import Annotated, Any, Final, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from bridge.api.faces.wavix.pages import PageQuery, Pagination, page_of
from bridge.api.faces.wavix.words import WAVIX
from bridge.api.fields import Count, Url, field
from bridge.api.operation import BARE, Context
from bridge.api.webhook_endpoints import checked, now, of_line
from bridge.api.webhook_fields import new_secret
from bridge.errors import InvalidRequest, NotFound, Unsupported
from bridge.net import endpoints
from bridge.net.endpoints import Endpoint
from bridge.wire.webhook import Style

NUMBERS: Final = "/v1/mydids"
NUMBER: Final = NUMBERS + "/{number}"
CALLBACK: Final = "call_status_url"
UNSUPPORTED: Final = (
    "call_recording_enabled",
    "transcription_enabled",
    "transcription_threshold",
    "sms_relay_url",
)
"""The vendor's other settings; this bridge has them for a line as a whole, or not at all."""


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
    numbers = context.services.policies[context.line].numbers
    hooks, found = await _hooks(context), [one for one in numbers if query.search in one]
    items, pagination = page_of(query, [_shown(number, hooks) for number in found])
    return WavixNumbers(items, pagination)


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
    if refused := [name for name in UNSUPPORTED if getattr(body, name) is not None]:
        raise Unsupported(f"{', '.join(refused)}: only {CALLBACK} can be set for a number here")
    if body.call_status_url is UNSET:
        raise InvalidRequest(f"missing {CALLBACK} in payload", field=CALLBACK)
    identity, database = f"number {found} {context.line}", context.services.database
    if not body.call_status_url:

        def remove(connection: Connection) -> None:
            if endpoints.find(connection, identity) is not None:
                endpoints.delete(connection, context.line, identity)

        await database.run(remove)
        return _shown(found, {})
    wanted = Endpoint(
        id=identity,
        line=context.line,
        url=await checked(context, body.call_status_url, CALLBACK),
        style=Style.WAVIX,
        created_at=now(),
        secret=new_secret(),
        number=found,
    )
    await database.run(lambda connection: endpoints.put(connection, wanted))
    return _shown(found, {found: wanted.url}, wanted.secret)


OPERATIONS: Final = (list_numbers, number, change)


def _own(context: Context) -> str:
    """Return the number that the path names, with `+`.

    Raises:
        NotFound: the line does not have it.
    """
    found = "+" + context.path("number").removeprefix("+")
    if found not in context.services.policies[context.line].numbers:
        raise NotFound("your line has no such number (lines.NAME.numbers)")
    return found


async def _hooks(context: Context) -> dict[str, str]:
    """Return the callbacks of the line's numbers."""
    found = await of_line(context)
    return {endpoint.number: endpoint.url for endpoint in found if endpoint.number}


def _shown(number: str, hooks: dict[str, str], secret: str | UnsetType = UNSET) -> WavixNumber:
    digits = number.removeprefix("+")
    return WavixNumber(int(digits), digits, hooks.get(number), secret)
