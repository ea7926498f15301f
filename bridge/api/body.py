"""Request bodies: JSON whatever the Content-Type says, fields in any of their spellings."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from bridge.api.reads import RequestTimeout
from bridge.api.services import SERVICES
from bridge.errors import InvalidRequest, PayloadTooLarge
from bridge.wire.call_id import native

BODY_SECONDS = 10.0
"""A body that takes longer to arrive is refused."""

BODY_BYTES = 256 * 1024
LARGE_BODIES = {"/call/play": 16 * 1024 * 1024}
"""Routes that carry sound in JSON, and how large their bodies may be: 12 MB in base64."""
MAX_BYTES = max(BODY_BYTES, *LARGE_BODIES.values())

CALL_ID = ("callId", "callID", "CallID", "call_id")
NAMES_CALL = (*CALL_ID, "uuid", "roomName")
"""All names under which a path or a body says which call it is about."""
LEG_ID = ("legID", "legId", "LegID", "leg_id")
PHONE = ("phone", "Phone")

PHONE_NUMBER = re.compile(r"\+?[1-9][0-9]{5,14}")
_PHONE = re.compile(r"\+?([1-9][0-9]{5,14})(?:(?::[0-9]+)?@s\.whatsapp\.net)?")
_LID = re.compile(r"[1-9][0-9]{5,19}@lid")
"""A party that hides its number from us."""
_DIGITS = re.compile(r"[0-9*#A-Da-d]{1,64}")

Value = TypeVar("Value", str, bool, dict[str, Any])


async def read_bytes(request: web.Request) -> bytes:
    """Read the body as it is.

    Raises:
        InvalidRequest: damaged on its way.
        PayloadTooLarge: over the route's limit.
        RequestTimeout: it took longer than `BODY_SECONDS`.
        LimitExceeded: too many bodies over `BODY_BYTES` are being read.
    """
    most = LARGE_BODIES.get(request.path, BODY_BYTES)
    if (request.content_length or 0) > most:
        raise _too_large(most)
    # A body of which nobody knows the length may be as large as its route takes.
    length = most if request.content_length is None else request.content_length
    if length > BODY_BYTES:
        async with request.app[SERVICES].large_reads.turn():
            return await _read(request, most)
    return await _read(request, most)


async def _read(request: web.Request, most: int) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
    except TimeoutError:
        raise RequestTimeout("the request's body did not arrive in time") from None
    except web.HTTPRequestEntityTooLarge as error:
        raise _too_large(most) from error
    except web.RequestPayloadError:
        raise InvalidRequest("the body is not encoded as its headers say") from None
    if len(body) > most:
        raise _too_large(most)
    return body


def _too_large(most: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the request's body is larger than {most // 1024} kB")


async def read_body(request: web.Request) -> "Body":
    """Read the body as `read_fields` does."""
    return Body(await read_fields(request))


async def read_fields(request: web.Request) -> dict[str, Any]:
    """Read the body as a JSON object; an empty body is `{}`.

    Raises:
        InvalidRequest: not JSON, not an object, or damaged on its way.
        PayloadTooLarge: over the application's limit.
        RequestTimeout: it took longer than `BODY_SECONDS`.
    """
    raw = await read_bytes(request)
    if not raw.strip():
        return {}
    try:
        fields = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InvalidRequest("the body must be a JSON object")
    return fields


def call_in_path(request: web.Request) -> str:
    """Give the id of the call that the path names, native whatever form it came in.

    What is no call id is given as it is: no call has it.
    """
    text = named_call(request.match_info) or ""
    return native(text) or text


def named_call(fields: Mapping[str, Any]) -> str | None:
    """Give a call's id as it is spelt in a path or body; None where none is named."""
    return next((fields[name] for name in NAMES_CALL if isinstance(fields.get(name), str)), None)


async def call_named_by(request: web.Request) -> str | None:
    """Return the call that a request's path or body names; native, if it is an id in any form.

    Raises:
        InvalidRequest, PayloadTooLarge, RequestTimeout: the body cannot be read.
    """
    found = named_call(request.match_info)
    if found is None and request.body_exists and not request.content_type.startswith("multipart/"):
        try:
            fields = msgspec.json.decode(await read_bytes(request))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        found = named_call(fields) if isinstance(fields, dict) else None
    return (native(found) or found) if found else None


class Body:
    """The fields of a request; every reader takes all spellings of a field's name."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def text(self, *names: str) -> str:
        """Give a string that must be there and not be empty.

        Raises:
            InvalidRequest: naming the field.
        """
        value = self.optional_text(*names)
        if not value:
            name = self.spelt(*names)
            raise InvalidRequest(f"missing {name} in payload", field=name)
        return value

    def optional_text(self, *names: str) -> str | None:
        """Give a string, or None where it is missing or null."""
        return self._read(str, "a string", *names)

    def flag(self, *names: str) -> bool:
        """Give a boolean that must be there.

        Raises:
            InvalidRequest: naming the field.
        """
        value = self.optional_flag(*names)
        if value is None:
            name = self.spelt(*names)
            raise InvalidRequest(f"missing {name} in payload", field=name)
        return value

    def optional_flag(self, *names: str) -> bool | None:
        """Give a boolean, or None where it is missing or null."""
        return self._read(bool, "true or false", *names)

    def optional_object(self, *names: str) -> dict[str, Any] | None:
        """Give an object, or None where it is missing or null."""
        return self._read(dict, "an object", *names)

    def has(self, *names: str) -> bool:
        """Whether one of the fields is there, and not null."""
        return any(self._fields.get(name) is not None for name in names)

    def spelt(self, *names: str) -> str:
        """Return under which of its names a field is there, the first where it is missing."""
        there = [name for name in names if name in self._fields]
        used = [name for name in there if self._fields[name] is not None]
        return next(iter((*used, *there)), names[0])

    def clears(self, name: str) -> bool:
        """Whether the field is there and null."""
        return name in self._fields and self._fields[name] is None

    def names(self, name: str) -> bool:
        """Whether the field is there, be it null."""
        return name in self._fields

    def optional_list(self, *names: str) -> list[Any] | None:
        """Give a list, or None where it is missing or null."""
        for name in names:
            value = self._fields.get(name)
            if value is not None and not isinstance(value, list):
                raise InvalidRequest(f"{name}: expected a list", field=name)
            if value is not None:
                return value
        return None

    def texts(self, name: str, *, most: int) -> list[str] | None:
        """Give a list of strings, or None where it is missing or null.

        Raises:
            InvalidRequest: naming the field.
        """
        value = self._fields.get(name)
        if value is None:
            return None
        words = value if isinstance(value, list) and len(value) <= most else [None]
        texts = [word for word in words if isinstance(word, str) and len(word) <= most]
        if len(texts) < len(words):
            raise InvalidRequest(f"{name}: expected a list of at most {most} words", field=name)
        return texts

    def number(self, *names: str, default: int, least: int, most: int) -> int:
        """Give a whole number, or the default where it is missing or null.

        Raises:
            InvalidRequest: naming the field and its bounds.
        """
        value = next((self._fields[n] for n in names if self._fields.get(n) is not None), default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            name = self.spelt(*names)
            raise InvalidRequest(
                f"{name}: expected a whole number from {least} to {most}", field=name
            )
        return value

    def seconds(self, *names: str, most: int) -> int:
        """Give a whole number of seconds, or 0 where it is missing or null.

        Raises:
            InvalidRequest: naming the field and its bounds.
        """
        return self.number(*names, default=0, least=1, most=most) if self.has(*names) else 0

    def call_id(self, *names: str) -> str:
        """Return the id of the call that the request is about, native whatever form it came in.

        `names` are those that its face writes first: a missing id is missed by the first of them.
        """
        text = self.text(*names, *CALL_ID)
        return native(text) or text

    def leg_id(self) -> str | None:
        """Give the id of the leg, if the request names one."""
        return self.optional_text(*LEG_ID) or None

    def phone(self, *names: str) -> str:
        """Give a number as digits: country code and number, a leading + and a WhatsApp JID too.

        Raises:
            InvalidRequest: missing or malformed.
        """
        for name in names:
            if isinstance(self._fields.get(name), int) and not isinstance(self._fields[name], bool):
                return self._digits(str(self._fields[name]), name)
        return self._digits(self.text(*names), self.spelt(*names))

    def peer(self, *names: str) -> str:
        """Give whom to ring over WhatsApp: a number as `phone` does, or a hidden one as `digits@lid`.

        Raises:
            InvalidRequest: missing, malformed, or a group.
        """
        text = next((t for n in names if isinstance(t := self._fields.get(n), str)), "").strip()
        if text.endswith("@g.us"):
            name = self.spelt(*names)
            raise InvalidRequest(f"{name}: a group cannot be rung", field=name)
        hidden = _LID.fullmatch(text)
        return text if hidden else self.phone(*names)

    def dtmf(self) -> str:
        """Give the DTMF digits, upper-case.

        Raises:
            InvalidRequest: missing, or not one to 64 of 0-9, *, #, A-D.
        """
        digits, name = self.text("digits", "Digits"), self.spelt("digits", "Digits")
        if not _DIGITS.fullmatch(digits):
            raise InvalidRequest(f"{name}: expected 1 to 64 of 0-9, *, #, A-D", field=name)
        return digits.upper()

    def _digits(self, text: str, name: str) -> str:
        match = _PHONE.fullmatch(text.strip())
        if match is None:
            raise InvalidRequest(
                f"{name}: expected country code and number in digits, such as 15550100001",
                field=name,
            )
        return match[1]

    def _read(self, kind: type[Value], wanted: str, *names: str) -> Value | None:
        for name in names:
            value = self._fields.get(name)
            if value is None:
                continue
            if not isinstance(value, kind):
                raise InvalidRequest(f"{name}: expected {wanted}", field=name)
            return value
        return None
