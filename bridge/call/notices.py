"""What the world is told of a call: webhooks, event streams and faces are made from these."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bridge.call.model import CallId, CallRecord, LineName
from bridge.call.parties import parties_of
from bridge.wire import metadata
from bridge.wire.notice import Call, Notice


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
    parties = parties_of(record)
    return Call(
        id=facts.call_id,
        direction=record.direction.value,
        state=record.state.value,
        peer=facts.peer,
        started_at=facts.started_at,
        reason=record.reason.value if record.reason else "",
        from_=parties.from_,
        to=parties.to,
        from_channel=parties.from_channel,
        to_channel=parties.to_channel,
        metadata=metadata.raw(facts.details.metadata),
        tag=facts.details.tag,
        answered_at=record.answered_at,
        ended_at=record.ended_at,
        seconds=record.seconds,
        muted=record.muted,
        browser=record.has_browser,
    )
