"""The state of a call as its events carry it."""

from bridge.call.model import CallRecord
from bridge.call.parties import parties_of
from bridge.wire import metadata
from bridge.wire.call_event import CallSnapshot


def snapshot(record: CallRecord) -> CallSnapshot:
    """Return the part of a record that is stored and sent with an event."""
    facts, parties = record.facts, parties_of(record)
    return CallSnapshot(
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
        callback_url=facts.details.callback_url,
        answered_at=record.answered_at,
        ended_at=record.ended_at,
        seconds=record.seconds,
        muted=record.muted,
        browser=record.has_browser,
    )
