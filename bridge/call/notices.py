"""What the world is told of a call: webhooks, event streams and faces are made from these."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from bridge.call.model import CallId, CallRecord, Direction, LegKind, LineName
from bridge.wire.notice import Call, Notice

CHANNEL: Final = "whatsapp"
BROWSER: Final = "webrtc"
"""How parties are reached of whom nobody said it: those with a number, and others."""


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One thing that happened on a line, most often to one of its calls; never holds audio."""

    type: str
    """A dotted word, such as `call.ended` or `recording.ready`."""
    line: LineName
    call_id: CallId | None
    """None for what happened to no call."""
    at: datetime
    """With zone UTC."""
    record: CallRecord | None = None
    """The call as it stood then."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What belongs to the type; JSON values only."""


def notice_of(event: CallEvent, identity: str) -> Notice:
    """Give the form in which an event is kept and told; bytes in its data are left out."""
    data = {
        name: value
        for name, value in event.data.items()
        if not isinstance(value, bytes | bytearray | memoryview)
    }
    return Notice(
        id=identity,
        type=event.type,
        line=event.line,
        at=event.at,
        call=_call(event.record) if event.record is not None else None,
        data=data,
    )


def _call(record: CallRecord) -> Call:
    facts = record.facts
    parties, rang_us = facts.details.parties, record.direction is Direction.INBOUND
    far = CHANNEL if facts.peer.isdigit() else BROWSER
    return Call(
        id=facts.call_id,
        direction=record.direction.value,
        state=record.state.value,
        peer=facts.peer,
        started_at=facts.started_at,
        reason=record.reason.value if record.reason else "",
        from_=parties.from_ or (facts.peer if rang_us else ""),
        to=parties.to or ("" if rang_us else facts.peer),
        from_channel=parties.from_channel or (far if rang_us else CHANNEL),
        to_channel=parties.to_channel or (CHANNEL if rang_us else far),
        metadata=dict(facts.details.metadata),
        tag=facts.details.tag,
        answered_at=record.answered_at,
        ended_at=record.ended_at,
        seconds=record.seconds,
        muted=record.muted,
        browser=LegKind.WEBRTC in record.transports,
    )
