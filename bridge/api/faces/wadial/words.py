"""WADial's envelopes, call snapshot and words for states."""

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from aiohttp import web
from msgspec import Struct

from bridge.api import render
from bridge.api.fields import Timestamp
from bridge.api.operation import Envelope, Group
from bridge.call.model import CallRecord, Direction, State
from bridge.errors import BridgeError
from bridge.wire.iso8601 import iso8601

StateWord: TypeAlias = Literal["initiating", "ringing", "connecting", "active", "ended"]
STATE_WORDS: Final[Mapping[State, StateWord]] = {
    State.INITIATED: "initiating",
    State.RINGING: "ringing",
    State.CONNECTING: "connecting",
    State.ACTIVE: "active",
    State.HELD: "active",
    State.ENDED: "ended",
}
DIRECTION_WORDS: Final[Mapping[Direction, Literal["incoming", "outgoing"]]] = {
    Direction.OUTBOUND: "outgoing",
    Direction.INBOUND: "incoming",
}


WADIAL: Final = Group(
    name="WADial",
    envelope=Envelope(
        lambda payload: {"data": payload},
        lambda schema: {"type": "object", "properties": {"data": schema}, "required": ["data"]},
    ),
)


def failure(error: BridgeError) -> web.Response:
    """Render an error; WADial documents no format, this one is ours."""
    body: dict[str, Any] = {"code": error.code, "message": str(error)}
    if error.field:
        body["field"] = error.field
    if error.call_id:
        body["callId"] = error.call_id
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
    return web.json_response({"error": body}, status=error.status, headers=headers)


class WadialCall(Struct, rename="camel"):
    """A call as WADial shows it, live or ended."""

    call_id: str
    session_id: str
    peer_jid: str
    direction: Literal["incoming", "outgoing"]
    media_type: Literal["audio"]
    state: StateWord
    transport: Literal["websocket", "webrtc"]
    audio_muted: bool
    created_at: Timestamp
    started_at: Timestamp
    answered_at: Timestamp | None
    ended_at: Timestamp | None


def snapshot(record: CallRecord) -> WadialCall:
    """Return a call as WADial shows it."""
    facts = record.facts
    began = iso8601(facts.started_at)
    return WadialCall(
        call_id=facts.call_id,
        session_id=facts.line,
        peer_jid=render.peer(record),
        direction=DIRECTION_WORDS[record.direction],
        media_type="audio",
        state=STATE_WORDS[record.state],
        transport="webrtc" if record.has_browser else "websocket",
        audio_muted=record.muted,
        created_at=began,
        started_at=began,
        answered_at=iso8601(record.answered_at),
        ended_at=iso8601(record.ended_at),
    )
