"""Request bodies: JSON whatever the Content-Type says, and the call that they name."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
from aiohttp import web

from bridge.api.server.fields import CALL_ID_SPELLINGS
from bridge.api.server.reads import BODY_BYTES, BODY_SECONDS, LARGE_BODIES, too_large
from bridge.api.server.services import ACCESS
from bridge.errors import InvalidRequest, RequestTimeout
from bridge.wire.call_id import native

NAMES_CALL = (*CALL_ID_SPELLINGS, "uuid", "roomName")
"""All names under which a path or a body says which call it is about."""


async def read_bytes(request: web.Request, limit: int = 0) -> bytes:
    """Read the body as it is; `limit` is in bytes, 0 the route's usual one.

    Raises:
        InvalidRequest: damaged on its way.
        PayloadTooLarge: over the route's limit.
        RequestTimeout: it took longer than `BODY_SECONDS`.
        LimitExceeded: too many bodies over `BODY_BYTES` are being read.
    """
    limit = limit or LARGE_BODIES.get(request.path, BODY_BYTES)
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    # A body of which nobody knows the length may be as large as its route takes.
    length = limit if request.content_length is None else request.content_length
    if length > BODY_BYTES:
        async with request.app[ACCESS].large_reads.turn():
            return await _read(request, limit)
    return await _read(request, limit)


async def _read(request: web.Request, limit: int) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
    except TimeoutError:
        raise RequestTimeout("the request's body did not arrive in time") from None
    except web.HTTPRequestEntityTooLarge as error:
        raise too_large(limit) from error
    except web.RequestPayloadError:
        raise InvalidRequest("the body is not encoded as its headers say") from None
    if len(body) > limit:
        raise too_large(limit)
    return body


async def read_fields(request: web.Request, limit: int = 0) -> dict[str, Any]:
    """Read the body as a JSON object; an empty body is `{}`; `limit` as in `read_bytes`.

    Raises:
        InvalidRequest: not JSON, not an object, or damaged on its way.
        PayloadTooLarge, RequestTimeout, LimitExceeded: as `read_bytes`.
    """
    raw = await read_bytes(request, limit)
    return _object(raw) if raw.strip() else {}


def _object(raw: bytes) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InvalidRequest("the body must be a JSON object")
    return fields


def named_call(fields: Mapping[str, Any]) -> str | None:
    """Return a call's id as it is spelled in a path or body; None where none is named."""
    return next((fields[name] for name in NAMES_CALL if isinstance(fields.get(name), str)), None)


async def call_named_by(request: web.Request) -> str | None:
    """Return the call that a request's path or body names; native, if it is an id in any form.

    Raises:
        InvalidRequest, PayloadTooLarge, RequestTimeout: the body cannot be read.
    """
    found = named_call(request.match_info)
    if found is None and request.body_exists and not request.content_type.startswith("multipart/"):
        raw = await read_bytes(request)
        with suppress(InvalidRequest):  # it need not be JSON
            found = named_call(_object(raw))
    return (native(found) or found) if found else None
