"""Wavix's envelopes, call object, words for states, and pages of a list."""

from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from bridge.api.server.fields import Count, Timestamp, WrongFields
from bridge.api.server.operation import APPID, Envelope, Group, Schema
from bridge.call.model import CallRecord, State
from bridge.call.view import snapshot_of
from bridge.errors import BridgeError
from bridge.wire import call_id
from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.webhook import wavix

CALLS: Final = "/v1/call"
CALL: Final = CALLS + "/{call_id}"
NEWER: Final = "/v1/calls/{call_id}"
"""Where the vendor's newer documents have a call; routes that Chirp has too are at `CALL` only."""

ERROR_TRUE: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
"""Statuses whose bodies also have `error: true`."""

LAST_EVENTS: Final = {
    State.INITIATED: EventType.CALL_INITIATED,
    State.RINGING: EventType.CALL_RINGING,
    State.ENDED: EventType.CALL_ENDED,
}
"""The event last sent of a call in each state; in all others it was answered."""


def _describe(schema: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {"success": {"const": True}, **schema.get("properties", {})},
        "required": ["success", *schema.get("required", ())],
    }


WAVIX: Final = Group(
    name="Wavix",
    envelope=Envelope(lambda payload: {"success": True, **msgspec.to_builtins(payload)}, _describe),
    auth=APPID,
    is_vendors=True,
)


class Success(Struct):
    """The answer of an operation with nothing more to say."""


class PageQuery(Struct):
    """Which page of a list is wanted."""

    page: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    per_page: Annotated[int, Meta(ge=1, le=100)] = 25

    @property
    def offset(self) -> int:
        """The index of its first item."""
        return (self.page - 1) * self.per_page


class Pagination(Struct):
    """Where a page stands among all."""

    current_page: Count
    per_page: Count
    total: Count
    total_pages: Count


def pagination(query: PageQuery, *, total: int) -> Pagination:
    """Return where a page stands among all."""
    return Pagination(query.page, query.per_page, total, -(-total // query.per_page))


class WavixCall(Struct, rename={"from_": "from"}):
    """A call, as it was last sent to its callback."""

    uuid: str
    id: str
    direction: Literal["inbound", "outbound"]
    event_type: str | None
    event_time: Timestamp
    event_payload: dict[str, Any] | None
    from_: str
    to: str
    call_started: Timestamp
    call_answered: Timestamp | None
    call_completed: Timestamp | None
    machine_detected: bool
    tag: str | None


def call_object(record: CallRecord) -> WavixCall:
    """Return the call object."""
    at = record.ended_at or record.answered_at or record.facts.started_at
    kind = LAST_EVENTS.get(record.state, EventType.CALL_ANSWERED)
    event = CallEvent(id="", type=kind, line=record.facts.line, at=at, call=snapshot_of(record))
    return msgspec.convert(wavix.body(event), WavixCall)


def failure(error: BridgeError) -> dict[str, Any]:
    """Render an error: a wrong field by its name in `errors`, 401, 403 and 404 with `error: true`."""
    body: dict[str, Any] = {"success": False, "message": str(error)}
    if isinstance(error, WrongFields):
        body["errors"] = error.errors
    elif error.field:
        body["errors"] = {error.field: str(error)}
    if error.call_id:
        body["callId"] = call_id.wavix(error.call_id)
    if error.status in ERROR_TRUE:
        body["error"] = True
    return body
