"""How the WADial face speaks: its envelopes, its call snapshot and its words for states."""

from typing import Any

from aiohttp import web

from bridge.api import render
from bridge.call.model import CallRecord, Direction, State
from bridge.errors import BridgeError
from bridge.wire.iso8601 import iso8601

STATE_WORDS = {State.INITIATED: "initiating", State.HELD: "active"}
"""Where WADial's word differs from ours."""
DIRECTION_WORDS = {Direction.OUTBOUND: "outgoing", Direction.INBOUND: "incoming"}


def success(data: object) -> web.Response:
    """Wrap a payload."""
    return web.json_response({"data": data})


def failure(error: BridgeError) -> web.Response:
    """Render an error; WADial documents no form, this one is our definition."""
    told: dict[str, Any] = {"code": error.code, "message": str(error)}
    if error.field:
        told["field"] = error.field
    if error.call_id:
        told["callId"] = error.call_id
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
    return web.json_response({"error": told}, status=error.status, headers=headers)


def snapshot(record: CallRecord) -> dict[str, Any]:
    """A call as WADial shows it, live or ended."""
    facts = record.facts
    browser = record.has_browser
    began = iso8601(facts.started_at)
    return {
        "callId": facts.call_id,
        "sessionId": facts.line,
        "peerJid": render.peer(record),
        "direction": DIRECTION_WORDS[record.direction],
        "mediaType": "audio",
        "state": state(record.state),
        "transport": "webrtc" if browser else "websocket",
        "audioMuted": record.muted,
        "createdAt": began,
        "startedAt": began,
        "answeredAt": iso8601(record.answered_at),
        "endedAt": iso8601(record.ended_at),
    }


def state(ours: State) -> str:
    """WADial's word for a state."""
    return STATE_WORDS.get(ours, ours.value)
