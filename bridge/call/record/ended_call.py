"""What is kept of a call after its end, and shown of it before: the record, its quality in short, its diagnosis."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.call.diagnosis.report import DiagnosisReport
from bridge.call.model import (
    CallRecord,
    Direction,
    EndReason,
    LegFigures,
    LegId,
    LegKind,
    LegStatistics,
    Party,
)
from bridge.call.record.quality import LegQuality, Rating, rate
from bridge.call.record.timeline import PackedTimeline, Timeline


class EndedBy(StrEnum):
    """Who ended a call."""

    NEAR = "near"
    """Our side: a request of the line."""
    FAR = "far"
    BRIDGE = "bridge"
    """A time limit, a failure, or the operator."""


@dataclass(frozen=True, slots=True)
class DirectionQuality:
    """One direction of a leg over its whole time; None where nothing was measured."""

    packets: int
    lost: int
    loss: float | None
    """Share of the packets that were lost, 0 to 1."""
    jitter: float | None
    """Mean, in seconds."""
    mos: float | None
    """Mean over the seconds of the leg."""
    worst_mos: float | None
    """Of any second; of ten seconds in calls of over ten minutes."""


@dataclass(frozen=True, slots=True)
class LegSummary:
    """A leg's quality in short."""

    leg_id: LegId
    kind: LegKind
    party: Party
    round_trip: float | None
    """Mean, in seconds."""
    received: DirectionQuality
    sent: DirectionQuality


@dataclass(frozen=True, slots=True)
class CallReport:
    """A call as its history shows it, live or ended."""

    record: CallRecord
    legs: tuple[LegSummary, ...] = ()
    diagnosis: DiagnosisReport = field(default_factory=DiagnosisReport)

    @property
    def mos(self) -> float | None:
        """The worst of the mean scores of all legs and directions."""
        scores = [part.mos for leg in self.legs for part in (leg.received, leg.sent)]
        return min((score for score in scores if score is not None), default=None)


@dataclass(frozen=True, slots=True)
class PackedLeg:
    """The stored timeline of a leg."""

    last: LegFigures
    last_at: float
    call_began: float
    timeline: PackedTimeline


def report_call(
    record: CallRecord, timelines: Iterable[LegQuality], diagnosis: DiagnosisReport
) -> CallReport:
    """Return a call with its legs' quality in short."""
    known = {leg.last.leg_id: leg.timeline for leg in timelines}
    legs = tuple(summarise(leg, known.get(leg.leg_id) or Timeline()) for leg in record.legs)
    return CallReport(record, legs, diagnosis)


def summarise(leg: LegFigures, timeline: Timeline) -> LegSummary:
    """Return a leg's quality in short; one too short for a timeline is rated by its totals."""
    figures = leg.statistics
    totals = rate(leg.kind, LegStatistics(), figures)
    received, sent = figures.received, figures.sent
    trip = timeline.mean("round_trip")
    return LegSummary(
        leg.leg_id,
        leg.kind,
        leg.party,
        figures.round_trip_seconds if trip is None else trip,
        _direction(timeline, "", received.packets, max(0, received.lost), totals[0]),
        _direction(timeline, "sent_", sent.packets, max(0, sent.remote_lost), totals[1]),
    )


def pack(timelines: Iterable[LegQuality]) -> list[PackedLeg]:
    """Return timelines as they are stored."""
    return [
        PackedLeg(leg.last, leg.last_at, leg.call_began, leg.timeline.pack()) for leg in timelines
    ]


def unpack(packed: Iterable[PackedLeg]) -> tuple[LegQuality, ...]:
    """Return stored timelines."""
    return tuple(
        LegQuality(leg.last, leg.last_at, leg.call_began, Timeline.unpack(leg.timeline))
        for leg in packed
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


def _direction(
    timeline: Timeline, prefix: str, packets: int, lost: int, total: Rating
) -> DirectionQuality:
    sent = bool(prefix)
    # What we sent and the peer lost is among the packets sent; what we lost is not among those received.
    expected = packets if sent else packets + lost
    jitter, mos = timeline.mean(f"{prefix}jitter"), timeline.mean(f"{prefix}mos")
    worst = timeline.least(f"{prefix}mos")
    return DirectionQuality(
        packets,
        lost,
        None if total.loss is None or not expected else min(1.0, lost / expected),
        total.jitter if jitter is None else jitter,
        total.mos if mos is None else mos,
        total.mos if worst is None else worst,
    )
