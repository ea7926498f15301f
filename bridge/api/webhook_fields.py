"""Fields of requests about webhooks: event filters, headers, pages."""

import base64
import re
import secrets
from typing import Final

from aiohttp import web

from bridge.api.body import Body
from bridge.errors import InvalidRequest
from bridge.wire.signature import PREFIX

SECRET_BYTES: Final = 24
MAX_EVENTS: Final = 50
MAX_HEADERS: Final = 20
MAX_VALUE: Final = 1024
MAX_PAGE: Final = 100
OURS: Final = re.compile(
    r"content-.*|host|connection|transfer-encoding|upgrade|te|trailer|keep-alive|proxy-.*"
    r"|webhook-.*|wadial-.*|bridge-signature",
    re.IGNORECASE,
)
"""Headers that are not the customer's to set."""

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\x20-\x7E]*")
_EVENT = re.compile(r"[A-Za-z0-9_.*-]{1,100}")


def new_secret() -> str:
    """Make the secret that signs an endpoint's deliveries."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def event_names(body: Body, *names: str) -> tuple[str, ...]:
    """Give a list of event names; missing and empty mean all of them.

    Raises:
        InvalidRequest: it is no list of names.
    """
    listed = body.optional_list(*names) or []
    if len(listed) > MAX_EVENTS or not all(
        isinstance(name, str) and _EVENT.fullmatch(name) for name in listed
    ):
        name = body.spelt(*names)
        raise InvalidRequest(
            f"{name}: expected a list of at most {MAX_EVENTS} event names", field=name
        )
    return tuple(listed)


def extra_headers(body: Body) -> dict[str, str]:
    """Give the headers that a customer wants with each delivery.

    Raises:
        InvalidRequest: they are no headers, or not the customer's to set.
    """
    headers = body.optional_object("headers") or {}
    good = len(headers) <= MAX_HEADERS and all(
        _NAME.fullmatch(name)
        and not OURS.fullmatch(name)
        and isinstance(value, str)
        and len(value) <= MAX_VALUE
        and _VALUE.fullmatch(value)
        for name, value in headers.items()
    )
    if not good:
        raise InvalidRequest(
            f"headers: expected at most {MAX_HEADERS} names with values of printable ASCII, "
            "none of which describes the message itself",
            field="headers",
        )
    return dict(headers)


def active(body: Body) -> bool:
    """Whether an endpoint is to be told; it is unless it says no."""
    return body.optional_flag("active", "Active") is not False


def numbers(body: Body, name: str) -> frozenset[int] | None:
    """Return a list of numbers, or None where it is missing.

    Raises:
        InvalidRequest: it is no list of numbers.
    """
    listed = body.optional_list(name)
    if listed is not None and not all(type(number) is int for number in listed):
        raise InvalidRequest(f"{name}: expected a list of numbers", field=name)
    return None if listed is None else frozenset(listed)


def page(request: web.Request, *, start: str = "offset") -> tuple[int, int]:
    """Give where a page begins, and how long it is.

    Raises:
        InvalidRequest: naming the parameter that is wrong.
    """
    return _number(request, start, 0, least=0, most=2**53), _number(
        request, "limit", 20, least=1, most=MAX_PAGE
    )


def _number(request: web.Request, name: str, default: int, *, least: int, most: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 17 and least <= int(text) <= most):
        raise InvalidRequest(f"{name}: expected a number from {least} to {most}", field=name)
    return int(text)
