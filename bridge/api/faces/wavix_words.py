"""How the Wavix face speaks: its envelopes, its call object and its words for states."""

from typing import Any

from aiohttp import web

from bridge.errors import BridgeError, Unauthorized


def success(**fields: object) -> web.Response:
    """Say that it worked; `fields` stand beside `success`."""
    return web.json_response({"success": True, **fields})


def failure(error: BridgeError) -> web.Response:
    """Render an error: a wrong field by its name in `errors`, a missing key with `error: true`."""
    body: dict[str, Any] = {"success": False, "message": str(error)}
    field = getattr(error, "field", None)
    if field:
        body["errors"] = {field: str(error)}
    if type(error) is Unauthorized:
        body["error"] = True
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
    return web.json_response(body, status=error.status, headers=headers)
