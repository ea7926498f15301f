"""What is kept of a call: its quality in short."""

from dataclasses import replace
from datetime import UTC, datetime

from bridge.call.diagnosis.report import DiagnosisReport
from bridge.call.model import (
    CallFacts,
    CallId,
    CallRecord,
    Direction,
    EndReason,
    LegFigures,
    LegId,
    LegKind,
    LegStatistics,
    LineName,
    Party,
    ReceivedAudio,
    SentAudio,
    State,
)
from bridge.call.record.ended_call import CallReport, report_call, summarise
from bridge.call.record.quality import LegQuality
from bridge.call.record.timeline import Sample, Timeline

STATISTICS = LegStatistics(ReceivedAudio(packets=90, lost=10, frames=100), SentAudio(packets=50))
LEG = LegFigures(LegId("leg_1"), LegKind.WEBRTC, Party.NEAR, STATISTICS)
RECORD = CallRecord(
    CallFacts(CallId("0" * 32), LineName("one"), "15550100001", datetime(2030, 1, 1, tzinfo=UTC)),
    Direction.OUTBOUND,
    State.ENDED,
    EndReason.HANGUP,
    60.0,
    (LEG,),
)


def timeline(*scores):
    found = Timeline()
    for second, mos in enumerate(scores):
        found.add(Sample(mos=mos, jitter=0.01, round_trip=0.1), float(second))
    return found


def test_a_leg_has_the_mean_and_the_worst_score_of_its_seconds():
    leg = summarise(LEG, timeline(4.0, 2.0, None, 3.0))
    assert (leg.received.mos, leg.received.worst_mos) == (3.0, 2.0)
    assert (leg.received.jitter, leg.round_trip) == (0.01, 0.1)


def test_loss_is_the_share_of_all_packets_that_were_sent():
    received = summarise(LEG, timeline(4.0)).received
    assert (received.packets, received.lost, received.loss) == (90, 10, 0.1)


def test_a_leg_too_short_for_a_timeline_is_rated_by_its_totals():
    received = summarise(LEG, Timeline()).received
    assert received.mos is not None
    assert received.mos == received.worst_mos


def test_a_leg_without_rtp_has_no_scores():
    leg = summarise(replace(LEG, kind=LegKind.SOCKET), Timeline())
    assert (leg.received.mos, leg.received.loss, leg.sent.mos) == (None, None, None)


def test_the_score_of_a_call_is_the_worst_of_its_legs():
    other = replace(LEG, leg_id=LegId("leg_2"))
    record = replace(RECORD, legs=(LEG, other))
    legs = [LegQuality(LEG, 0.0, 0.0, timeline(4.0)), LegQuality(other, 0.0, 0.0, timeline(2.5))]
    assert report_call(record, legs, DiagnosisReport()).mos == 2.5


def test_a_call_without_scores_has_none():
    assert CallReport(RECORD).mos is None
