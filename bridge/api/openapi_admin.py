"""The operator's operations: lines and their keys, with a credential of their own."""

from functools import partial
from typing import Final

from bridge.api.openapi_words import (
    FLAG,
    KEPT,
    OK,
    Auth,
    Described,
    Operation,
    Schema,
    many,
    maybe,
    named,
    native,
    shape,
    text,
    whole,
    words,
)

ADMIN: Final = partial(Operation, face="Admin", auth=Auth.ADMIN)
_AT: Final[Schema] = maybe(text(format="date-time"))
_KEY: Final[dict[str, Schema]] = {
    "keyId": text("names the key; opens nothing"),
    "createdAt": _AT,
    "expiresAt": _AT,
}
_LINE: Final[dict[str, Schema]] = {
    "name": text(),
    "source": words("settings", "admin"),
    "paused": FLAG,
    "numbers": many(text()),
    "keys": many(named("AdminKey")),
}
_SHOWN_ONCE: Final[dict[str, Schema]] = {"key": text("shown this once")}
_REFUSED: Final = (404, *KEPT)

SCHEMAS: Final[dict[str, Schema]] = {"AdminKey": shape(_KEY), "AdminLine": shape(_LINE)}

OPERATIONS: Final[Described] = {
    ("GET", "/admin/lines"): ADMIN(
        does="List all lines with the ids of their keys.",
        gives=native({"lines": many(named("AdminLine"))}),
        errors=_REFUSED,
    ),
    ("POST", "/admin/lines"): ADMIN(
        does="Make a line on which browsers and simulated contacts are called.",
        about="WhatsApp and gateway accounts stand in the settings. A name is given once for ever.",
        takes=shape({"name": text("a-z, 0-9, - and _"), "numbers?": many(text())}),
        gives=native(_LINE | _SHOWN_ONCE),
        errors=(409, *_REFUSED),
    ),
    ("GET", "/admin/lines/{line}"): ADMIN(
        does="Show one line.", gives=native(_LINE), errors=_REFUSED
    ),
    ("DELETE", "/admin/lines/{line}"): ADMIN(
        does="Remove a line that was made here; its calls end.",
        gives=OK,
        errors=(409, *_REFUSED),
    ),
    ("POST", "/admin/lines/{line}/keys"): ADMIN(
        does="Give a line one more key, and let the others expire if so told.",
        takes=shape({"expireOthersAfter?": whole(0, 2_592_000, about="seconds; none: they stay")}),
        optional_body=True,
        gives=native(_KEY | _SHOWN_ONCE),
        errors=(409, *_REFUSED),
    ),
    ("DELETE", "/admin/lines/{line}/keys/{keyId}"): ADMIN(
        does="Take a key from a line at once.", gives=OK, errors=_REFUSED
    ),
    ("POST", "/admin/lines/{line}/pause"): ADMIN(
        does="Let a line make and take no calls; its keys open nothing.",
        gives=native(_LINE),
        errors=_REFUSED,
    ),
    ("POST", "/admin/lines/{line}/resume"): ADMIN(
        does="Let a paused line make and take calls again.",
        gives=native(_LINE),
        errors=_REFUSED,
    ),
}
