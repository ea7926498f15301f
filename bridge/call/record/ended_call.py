"""What is kept of a call after its end, and shown of it before: the record, its quality in short, its diagnosis."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from bridge.call.diagnosis.report import DiagnosisReport
from bridge.call.model import CallRecord, LegFigures, LegId, LegKind, LegStatistics, Party
from bridge.call.record.quality import LegQuality, Rating, rate
from bridge.call.record.timeline import Timeline
from bridge.call.view import CallView, view_of


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
    def view(self) -> CallView:
        """The view of the call, with its score, verdict and problems."""
        found = self.diagnosis
        return view_of(self.record, mos=self.mos, verdict=found.verdict, problems=found.codes)

    @property
    def mos(self) -> float | None:
        """The worst of the mean scores of all legs and directions."""
        scores = [part.mos for leg in self.legs for part in (leg.received, leg.sent)]
        return min((score for score in scores if score is not None), default=None)


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
        leg_id=leg.leg_id,
        kind=leg.kind,
        party=leg.party,
        round_trip=figures.round_trip_seconds if trip is None else trip,
        received=_direction(timeline, "", received.packets, max(0, received.lost), totals[0]),
        sent=_direction(timeline, "sent_", sent.packets, max(0, sent.remote_lost), totals[1]),
    )


def _direction(
    timeline: Timeline, prefix: str, packets: int, lost: int, total: Rating
) -> DirectionQuality:
    sent = bool(prefix)
    # What we sent and the peer lost is among the packets sent; what we lost is not among those received.
    expected = packets if sent else packets + lost
    jitter, mos = timeline.mean(f"{prefix}jitter"), timeline.mean(f"{prefix}mos")
    worst = timeline.least(f"{prefix}mos")
    return DirectionQuality(
        packets=packets,
        lost=lost,
        loss=None if total.loss is None or not expected else min(1.0, lost / expected),
        jitter=total.jitter if jitter is None else jitter,
        mos=total.mos if mos is None else mos,
        worst_mos=total.mos if worst is None else worst,
    )
