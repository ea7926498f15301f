"""WADial's envelopes, call snapshot and words for states."""

from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from bridge.api.server.fields import Timestamp
from bridge.api.server.operation import Envelope, Group
from bridge.call.model import CallRecord
from bridge.call.view import snapshot_of
from bridge.errors import BridgeError
from bridge.wire.webhook import wadial

StateWord: TypeAlias = Literal["initiating", "ringing", "connecting", "active", "ended"]

WADIAL: Final = Group(
    name="WADial",
    envelope=Envelope(
        lambda payload: {"data": payload},
        lambda schema: {"type": "object", "properties": {"data": schema}, "required": ["data"]},
    ),
    is_vendors=True,
)


def failure(error: BridgeError) -> dict[str, Any]:
    """Render an error; WADial documents no format, this one is ours."""
    body: dict[str, Any] = {"code": error.code, "message": str(error)}
    if error.field:
        body["field"] = error.field
    if error.call_id:
        body["callId"] = error.call_id
    return {"error": body}


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


def call_object(record: CallRecord) -> WadialCall:
    """Return a call as WADial shows it."""
    shown = wadial.snapshot(snapshot_of(record))
    session = {"sessionId": record.facts.line, "createdAt": shown["startedAt"]}
    return msgspec.convert(shown | session, WadialCall)
