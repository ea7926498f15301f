"""A call as others see it: its record, its view for lists and pages, its snapshot for events and live answers.

All of them are made here, and what shows a call is rendered from one of them; vendors' words are in
`wire.webhook` and in the faces.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.call.diagnosis.diagnosis import Verdict
from bridge.call.machine import CallMachine
from bridge.call.model import (
    CallDetails,
    CallFacts,
    CallId,
    CallRecord,
    Direction,
    EndReason,
    LegFigures,
    LineName,
    Parties,
    State,
)
from bridge.call.parties import parties_of
from bridge.wire import metadata
from bridge.wire.call_event import CallSnapshot


class EndedBy(StrEnum):
    """Who ended a call."""

    NEAR = "near"
    """Our side: a request of the line."""
    FAR = "far"
    BRIDGE = "bridge"
    """A time limit, a failure, or the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallView:
    """A call as lists and its page show it; stored with an ended call, so new fields have defaults."""

    call_id: CallId
    line: LineName
    direction: Direction
    state: State
    reason: EndReason | None
    ended_by: EndedBy | None
    from_: str
    """A number with `+`, or an identifier; so is `to`."""
    to: str
    from_channel: str
    to_channel: str
    identities: tuple[str, ...]
    """Of those who joined with a ticket."""
    tag: str
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    seconds: float
    mos: float | None
    """The worst of the mean scores of all legs and directions."""
    verdict: Verdict
    problems: tuple[str, ...]
    """Codes, each once."""
    sent_to_voicemail: bool = False
    disclosed_at: datetime | None = None

    @property
    def key(self) -> tuple[float, str]:
        """Its place among all calls: when it began, in Unix seconds, and its id."""
        return self.started_at.timestamp(), self.call_id

    @property
    def ring_seconds(self) -> float:
        """From its start to the answer, or to the end of one that was not answered."""
        if self.answered_at is None:
            return self.seconds
        return max(0.0, (self.answered_at - self.started_at).total_seconds())

    @property
    def talk_seconds(self) -> float:
        """From the answer on."""
        return 0.0 if self.answered_at is None else max(0.0, self.seconds - self.ring_seconds)

    @property
    def words(self) -> str:
        """What `CallSearch.text` is searched in."""
        parts = (self.from_, self.to, self.tag, self.call_id, *self.identities)
        return "\n".join(parts).lower()


def record_of(
    facts: CallFacts,
    machine: CallMachine,
    *,
    now: float,
    legs: tuple[LegFigures, ...] = (),
    timed_out: bool = False,
) -> CallRecord:
    """Return a call as its machine has it at `now`, in monotonic seconds."""

    def wall_time(at: float | None) -> datetime | None:
        return None if at is None else facts.started_at + timedelta(seconds=at - machine.started_at)

    disclosed_at, wording = machine.legs.disclosure.first or (None, None)
    return CallRecord(
        facts=facts,
        direction=machine.direction,
        state=machine.state,
        reason=machine.reason,
        seconds=(machine.ended_at or now) - machine.started_at,
        legs=legs,
        answered_at=wall_time(machine.answered_at),
        ended_at=wall_time(machine.ended_at),
        muted=machine.legs.muted,
        timed_out=timed_out,
        answered_by=machine.answered_by,
        disclosed_at=wall_time(disclosed_at),
        disclosure=wording,
    )


def view_of(
    record: CallRecord,
    *,
    mos: float | None = None,
    verdict: Verdict = Verdict.WATCHING,
    problems: tuple[str, ...] = (),
) -> CallView:
    """Return the view of a call; of its audio it has what is passed."""
    facts, parties = record.facts, parties_of(record)
    return CallView(
        call_id=facts.call_id,
        line=facts.line,
        direction=record.direction,
        state=record.state,
        reason=record.reason,
        ended_by=ended_by(record),
        from_=parties.from_,
        to=parties.to,
        from_channel=parties.from_channel,
        to_channel=parties.to_channel,
        identities=tuple(dict.fromkeys(leg.identity for leg in record.legs if leg.identity)),
        tag=facts.details.tag,
        started_at=facts.started_at,
        answered_at=record.answered_at,
        ended_at=record.ended_at,
        seconds=record.seconds,
        mos=mos,
        verdict=verdict,
        problems=problems,
        sent_to_voicemail=record.sent_to_voicemail,
        disclosed_at=record.disclosed_at,
    )


def snapshot_of(record: CallRecord) -> CallSnapshot:
    """Return a call as it is stored and sent with an event, and as live calls are answered with."""
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
        answered_by=record.answered_by,
        disclosed_at=record.disclosed_at,
        trace=facts.details.trace,
    )


def lost_record(line: LineName, call: CallSnapshot) -> CallRecord:
    """Return the record of a call of which only the end of its node is known."""
    details = CallDetails(
        parties=Parties(call.from_, call.to, call.from_channel, call.to_channel),
        metadata=bytes(call.metadata),
        tag=call.tag,
        callback_url=call.callback_url,
        trace=call.trace,
    )
    return CallRecord(
        facts=CallFacts(CallId(call.id), line, call.peer, call.started_at, details),
        direction=Direction(call.direction),
        state=State.ENDED,
        reason=EndReason(call.reason),
        seconds=call.seconds,
        legs=(),
        answered_at=call.answered_at,
        ended_at=call.ended_at,
        muted=call.muted,
        disclosed_at=call.disclosed_at,
    )


def ended_by(record: CallRecord) -> EndedBy | None:
    """Return who ended a call; None while it lives."""
    outbound = record.direction is Direction.OUTBOUND
    if record.timed_out:
        return EndedBy.BRIDGE
    match record.reason:
        case None:
            return None
        case EndReason.HANGUP:
            return EndedBy.NEAR
        case EndReason.REMOTE_HANGUP | EndReason.BUSY:
            return EndedBy.FAR
        case EndReason.REJECTED:
            return EndedBy.FAR if outbound else EndedBy.NEAR
        case EndReason.CANCELED:
            return EndedBy.NEAR if outbound else EndedBy.FAR
        case _:
            return EndedBy.BRIDGE
