"""How the Chirp face speaks: its bare errors, its call object and its words for states and ends."""

from typing import Any, Final

import msgspec
from aiohttp import web

from bridge.api.operation import BARE, Group
from bridge.call.model import CallRecord, EndReason, Parties, State
from bridge.call.parties import PSTN, WEBRTC, WHATSAPP, parties_of
from bridge.errors import BridgeError
from bridge.wire import call_id
from bridge.wire.iso8601 import iso8601

CHIRP: Final = Group(name="Chirp", envelope=BARE)
CHANNELS: Final = (PSTN, WEBRTC, WHATSAPP)

STATUS_WORDS: Final = {
    State.INITIATED: "initiated",
    State.RINGING: "ringing",
    State.CONNECTING: "ringing",
    State.ACTIVE: "in_progress",
    State.HELD: "in_progress",
}
END_WORDS: Final = {
    EndReason.HANGUP: "completed",
    EndReason.REMOTE_HANGUP: "completed",
    EndReason.BUSY: "busy",
    EndReason.NO_ANSWER: "no_answer",
    EndReason.CANCELED: "canceled",
    EndReason.REJECTED: "failed",
    EndReason.UNREACHABLE: "failed",
    EndReason.FAILED: "failed",
}
"""The status of a call that ended so; any other end completed it if it had been answered."""


def failure(error: BridgeError) -> web.Response:
    """Render an error; our definition beyond `error`: the wrong field, or the refused call."""
    body: dict[str, Any] = {"error": str(error)}
    if error.field:
        body["field"] = error.field
    if error.call_id:
        body["callId"] = call_id.chirp(error.call_id)
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
    return web.json_response(body, status=error.status, headers=headers)


def answer(body: object) -> web.Response:
    """Render an answer that has call objects in it."""
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def status(record: CallRecord) -> str:
    """Chirp's word for where a call stands, or how it ended."""
    if record.reason is None:
        return STATUS_WORDS.get(record.state, "failed")
    completed = "completed" if record.answered_at else "failed"
    return END_WORDS.get(record.reason, completed)


def end_reason(record: CallRecord) -> str | None:
    """Chirp's word for why a call ended; None while it lives."""
    ours = record.reason
    return EndReason.HANGUP.value if ours is EndReason.REMOTE_HANGUP else ours and ours.value


def call(record: CallRecord, *, test: bool = False) -> dict[str, Any]:
    """The full call object, for `answer`: its metadata stays encoded.

    Args:
        record: the call.
        test: whether a test key asks, which is shown ids of its own.
    """
    facts = record.facts
    who = parties_of(record)
    began = iso8601(facts.started_at)
    return {
        "id": call_id.chirp(facts.call_id, test=test),
        "appId": facts.line,
        "direction": record.direction.value,
        "status": status(record),
        "fromAddress": who.from_,
        "toAddress": who.to,
        "fromChannel": who.from_channel,
        "toChannel": who.to_channel,
        "duration": _duration(record),
        "endReason": end_reason(record),
        "metadata": msgspec.Raw(facts.details.metadata) if facts.details.metadata else None,
        "held": record.state is State.HELD,
        "livekitRoomName": _room(record, who),
        "startedAt": None if record.state is State.INITIATED else began,
        "answeredAt": iso8601(record.answered_at),
        "endedAt": iso8601(record.ended_at),
        "createdAt": began,
    }


def _room(record: CallRecord, who: Parties) -> str | None:
    browsers = WEBRTC in (who.from_channel, who.to_channel) or record.has_browser
    return call_id.room(record.facts.call_id) if browsers else None


def _duration(record: CallRecord) -> int | None:
    if record.ended_at is None:
        return None
    talked = record.ended_at - (record.answered_at or record.ended_at)
    return round(talked.total_seconds())
