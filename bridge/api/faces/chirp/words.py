"""Chirp's errors, call object and words for states and ends."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias, cast

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from bridge.api.fields import Count, Timestamp
from bridge.api.operation import BARE, Group
from bridge.call.model import CallRecord, Direction, EndReason, Parties, State
from bridge.call.parties import WEBRTC, parties_of
from bridge.errors import BridgeError
from bridge.wire import call_id
from bridge.wire.iso8601 import iso8601

CHIRP: Final = Group(name="Chirp", envelope=BARE)
Status: TypeAlias = Literal[
    "initiated", "ringing", "in_progress", "completed", "failed", "busy", "no_answer", "canceled"
]

STATUS_WORDS: Final[Mapping[State, Status]] = {
    State.INITIATED: "initiated",
    State.RINGING: "ringing",
    State.CONNECTING: "ringing",
    State.ACTIVE: "in_progress",
    State.HELD: "in_progress",
}
END_WORDS: Final[Mapping[EndReason, Status]] = {
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


def status(record: CallRecord) -> Status:
    """Return Chirp's word for a call's state, or how it ended."""
    if record.reason is None:
        return STATUS_WORDS.get(record.state, "failed")
    completed: Status = "completed" if record.answered_at else "failed"
    return END_WORDS.get(record.reason, completed)


def end_reason(record: CallRecord) -> str | None:
    """Return Chirp's word for why a call ended; None while it is live."""
    ours = record.reason
    return EndReason.HANGUP.value if ours is EndReason.REMOTE_HANGUP else ours and ours.value


class ChirpCall(Struct, rename="camel"):
    """A call."""

    id: Annotated[
        str, Meta(description="`call_…`; `call_test_…` for keys that begin with `sk_test_`")
    ]
    app_id: Annotated[str, Meta(description="the line")]
    direction: Direction
    status: Status
    from_address: str
    to_address: str
    from_channel: str
    to_channel: str
    duration: Count | None
    end_reason: str | None
    metadata: dict[str, Any] | None
    held: bool
    livekit_room_name: str | None
    started_at: Timestamp | None
    answered_at: Timestamp | None
    ended_at: Timestamp | None
    created_at: Timestamp


def call(record: CallRecord, *, test: bool = False) -> ChirpCall:
    """Return the full call object; its metadata stays encoded.

    Args:
        record: the call.
        test: whether the request has a test key, for which ids differ.
    """
    facts = record.facts
    who = parties_of(record)
    began = iso8601(facts.started_at)
    metadata = msgspec.Raw(facts.details.metadata) if facts.details.metadata else None
    return ChirpCall(
        id=call_id.chirp(facts.call_id, test=test),
        app_id=facts.line,
        direction=record.direction,
        status=status(record),
        from_address=who.from_,
        to_address=who.to,
        from_channel=who.from_channel,
        to_channel=who.to_channel,
        duration=_duration(record),
        end_reason=end_reason(record),
        metadata=cast("dict[str, Any] | None", metadata),
        held=record.state is State.HELD,
        livekit_room_name=_room(record, who),
        started_at=None if record.state is State.INITIATED else began,
        answered_at=iso8601(record.answered_at),
        ended_at=iso8601(record.ended_at),
        created_at=began,
    )


def _room(record: CallRecord, who: Parties) -> str | None:
    browsers = WEBRTC in (who.from_channel, who.to_channel) or record.has_browser
    return call_id.room(record.facts.call_id) if browsers else None


def _duration(record: CallRecord) -> int | None:
    if record.ended_at is None:
        return None
    talked = record.ended_at - (record.answered_at or record.ended_at)
    return round(talked.total_seconds())
