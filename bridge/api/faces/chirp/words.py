"""Chirp's errors, call object and words for states and ends."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from bridge.api.server.fields import Count, Timestamp
from bridge.api.server.operation import BARE, Group
from bridge.call.model import CallRecord, Direction, EndReason, State
from bridge.call.view import snapshot_of
from bridge.errors import BridgeError
from bridge.wire import call_id
from bridge.wire.iso8601 import iso8601
from bridge.wire.webhook import chirp

CHIRP: Final = Group(name="Chirp", envelope=BARE, is_vendors=True)
Status: TypeAlias = Literal[
    "initiated",
    "ringing",
    "in_progress",
    "voicemail",
    "completed",
    "failed",
    "busy",
    "no_answer",
    "canceled",
]

STATUS_WORDS: Final[Mapping[State, Status]] = {
    State.INITIATED: "initiated",
    State.RINGING: "ringing",
    State.CONNECTING: "ringing",
    State.ACTIVE: "in_progress",
    State.HELD: "in_progress",
}
END_WORDS: Final[Mapping[EndReason, Status]] = {
    EndReason.BUSY: "busy",
    EndReason.NO_ANSWER: "no_answer",
    EndReason.CANCELED: "canceled",
}
"""The status of a call that ended so; any other end completed it, or it failed."""


def failure(error: BridgeError) -> dict[str, Any]:
    """Render an error; our definition beyond `error`: the wrong field, or the refused call."""
    body: dict[str, Any] = {"error": str(error)}
    if error.field:
        body["field"] = error.field
    if error.call_id:
        body["callId"] = call_id.chirp(error.call_id)
    return body


def status(record: CallRecord) -> Status:
    """Return Chirp's word for a call's state, or how it ended."""
    if record.reason is None:
        if record.at_voicemail and record.answered_at is not None:
            return "voicemail"
        return STATUS_WORDS.get(record.state, "failed")
    other: Status = "completed" if snapshot_of(record).completed else "failed"
    return END_WORDS.get(record.reason, other)


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
    """Return the full call object; `test` is whether the request has a test key.

    The metadata stays encoded.
    """
    facts = record.facts
    shown = chirp.call_object(snapshot_of(record), call_id.chirp(facts.call_id, test=test))
    began = iso8601(facts.started_at)
    return ChirpCall(
        id=shown["id"],
        app_id=facts.line,
        direction=record.direction,
        status=status(record),
        from_address=shown["from"],
        to_address=shown["to"],
        from_channel=shown["fromChannel"],
        to_channel=shown["toChannel"],
        duration=shown["duration"],
        end_reason=shown["endReason"],
        metadata=shown["metadata"],
        held=record.state is State.HELD,
        livekit_room_name=shown["livekitRoomName"],
        started_at=None if record.state is State.INITIATED else began,
        answered_at=iso8601(record.answered_at),
        ended_at=iso8601(record.ended_at),
        created_at=began,
    )
