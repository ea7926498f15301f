"""Fields of requests about webhooks: event filters, headers, pages."""

import base64
import re
import secrets
from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct

from bridge.api.fields import Json, field
from bridge.errors import InvalidRequest
from bridge.wire.signature import PREFIX

SECRET_BYTES: Final = 24
MAX_EVENTS: Final = 50
MAX_HEADERS: Final = 20
MAX_VALUE: Final = 1024
RESERVED_HEADERS: Final = re.compile(
    r"content-.*|host|connection|transfer-encoding|upgrade|te|trailer|keep-alive|proxy-.*"
    r"|webhook-.*|wadial-.*|bridge-signature",
    re.IGNORECASE,
)
"""Headers that customers cannot set."""

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\x20-\x7E]*")
_EVENT = re.compile(r"[A-Za-z0-9_.*-]{1,100}")


def new_secret() -> str:
    """Make the secret that signs an endpoint's deliveries."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _read_events(value: Json, name: str) -> Json:
    if (
        not isinstance(value, list)
        or len(value) > MAX_EVENTS
        or not all(isinstance(one, str) and _EVENT.fullmatch(one) for one in value)
    ):
        raise InvalidRequest(
            f"{name}: expected a list of at most {MAX_EVENTS} event names", field=name
        )
    return value


def _read_headers(value: Json, name: str) -> Json:
    if (
        not isinstance(value, dict)
        or len(value) > MAX_HEADERS
        or not all(_is_header(one, text) for one, text in value.items())
    ):
        raise InvalidRequest(
            f"{name}: expected at most {MAX_HEADERS} names with values of printable ASCII, "
            "without those that describe the message itself",
            field=name,
        )
    return value


def _is_header(name: str, value: object) -> bool:
    return (
        _NAME.fullmatch(name) is not None
        and not RESERVED_HEADERS.fullmatch(name)
        and isinstance(value, str)
        and len(value) <= MAX_VALUE
        and _VALUE.fullmatch(value) is not None
    )


EventNames: TypeAlias = Annotated[
    list[Annotated[str, Meta(description="an event's name, or the beginning of one before `*`")]],
    field(spellings=("Subscribe", "subscribe"), read=_read_events),
]
"""The events that are sent; an empty list means all."""
Headers: TypeAlias = Annotated[dict[str, str], field(read=_read_headers, max_length=MAX_HEADERS)]
"""Headers of the customer for each delivery."""
Active: TypeAlias = Annotated[bool, field(spellings=("Active",))]


class Page(Struct):
    """Which part of a list to return."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    offset: Annotated[int, Meta(ge=0, le=2**53)] = 0
