"""How the Wavix face speaks: its envelopes, its call object and its words for states."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from bridge.api.body import Body
from bridge.api.services import SERVICES
from bridge.call.model import CallRecord, State
from bridge.call.snapshot import snapshot
from bridge.errors import BridgeError, InvalidRequest, about_field
from bridge.wire import call_id, webhook_wavix
from bridge.wire.call_event import CallEvent, EventType

CALLS: Final = "/v1/call"
CALL: Final = CALLS + "/{call_id}"
NEWER: Final = "/v1/calls/{call_id}"
"""Where the vendor's newer documents have a call; what is Chirp's as well is at `CALL` only."""

TOLD_TWICE: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
"""Statuses whose bodies also have `error: true`."""

LAST_EVENTS: Final = {
    State.INITIATED: EventType.CALL_INITIATED,
    State.RINGING: EventType.CALL_RINGING,
    State.ENDED: EventType.CALL_ENDED,
}
"""The event last sent of a call in each state; in all others it was answered."""


class WrongFields(InvalidRequest):
    """Several fields are wrong, each for a reason of its own."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("the request's fields are not valid: " + ", ".join(errors))
        self.errors = dict(errors)


def call_object(record: CallRecord) -> dict[str, Any]:
    """Give the call object, as it was last sent to the call's callback."""
    at = record.ended_at or record.answered_at or record.facts.started_at
    kind = LAST_EVENTS.get(record.state, EventType.CALL_ANSWERED)
    return webhook_wavix.body(
        CallEvent(id="", type=kind, line=record.facts.line, at=at, call=snapshot(record))
    )


async def check_url(request: web.Request, body: Body, *names: str) -> str:
    """Give an optional URL that the bridge is to call, once the guard has nothing against it.

    Raises:
        InvalidRequest: it is none.
        AddressBlocked: it leads where it may not.
    """
    url = body.optional_text(*names) or ""
    if url:
        with about_field(body.spelt(*names)):
            await request.app[SERVICES].http.of(request.app[SERVICES].keys.line(request)).check(url)
    return url


def success(**fields: object) -> web.Response:
    """Say that it worked; `fields` stand beside `success`."""
    return web.json_response({"success": True, **fields})


def failure(error: BridgeError) -> web.Response:
    """Render an error: a wrong field by its name in `errors`, 401, 403 and 404 with `error: true`."""
    body: dict[str, Any] = {"success": False, "message": str(error)}
    if isinstance(error, WrongFields):
        body["errors"] = error.errors
    elif error.field:
        body["errors"] = {error.field: str(error)}
    if error.call_id:
        body["callId"] = call_id.wavix(error.call_id)
    if error.status in TOLD_TWICE:
        body["error"] = True
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
    return web.json_response(body, status=error.status, headers=headers)
