"""What is shown of a call."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.call.events import HangupRequested, LegAdded, LegAnswered
from bridge.call.limits import CallLimits
from bridge.call.machine import CallMachine
from bridge.call.model import (
    CallDetails,
    Direction,
    EndReason,
    LegId,
    LegKind,
    Parties,
    Party,
    State,
)
from bridge.call.routing import LegRole
from bridge.call.view import EndedBy, ended_by, lost_record, record_of, snapshot_of, view_of
from tests.call.record.test_ended_call import LEG, RECORD

BEGAN = RECORD.facts.started_at
FAR = LegId("far")


def test_a_record_has_the_machines_times_on_the_wall_clock():
    limits = CallLimits(ring_seconds=60, call_seconds=3600, abandoned_seconds=60)
    machine = CallMachine(direction=Direction.OUTBOUND, limits=limits, now=100.0)
    machine.handle(LegAdded(FAR, LegKind.WHATSAPP, LegRole(Party.FAR)), 100.0)
    machine.handle(LegAnswered(FAR), 102.0)
    live = record_of(RECORD.facts, machine, now=104.0)
    assert (live.seconds, live.answered_at) == (4.0, BEGAN + timedelta(seconds=2))
    machine.handle(HangupRequested(), 107.5)
    over = record_of(RECORD.facts, machine, now=200.0)
    assert (over.seconds, over.ended_at) == (7.5, BEGAN + timedelta(seconds=7.5))


def test_a_view_has_the_parties_as_the_call_has_them():
    details = CallDetails(Parties("+15550109000", "", "", ""))
    record = replace(
        RECORD,
        facts=replace(RECORD.facts, details=details),
        legs=(replace(LEG, identity="alice"), replace(LEG, identity="alice"), LEG),
    )
    view = view_of(record)
    assert (view.from_, view.to) == ("+15550109000", "+15550100001")
    assert view.identities == ("alice",)


def test_ringing_and_talking_are_told_apart():
    view = view_of(replace(RECORD, answered_at=BEGAN + timedelta(seconds=10)))
    assert (view.ring_seconds, view.talk_seconds) == (10.0, 50.0)
    unanswered = view_of(RECORD)
    assert (unanswered.ring_seconds, unanswered.talk_seconds) == (60.0, 0.0)


def test_a_call_lost_with_its_node_is_as_its_last_event_had_it():
    answered = replace(
        RECORD,
        answered_at=BEGAN + timedelta(seconds=10),
        ended_at=BEGAN,
        legs=(),
        disclosed_at=BEGAN,
    )
    known = snapshot_of(answered)
    assert snapshot_of(lost_record(RECORD.facts.line, known)) == known


@pytest.mark.parametrize(
    ("reason", "outbound", "inbound"),
    [
        (EndReason.HANGUP, "near", "near"),
        (EndReason.REMOTE_HANGUP, "far", "far"),
        (EndReason.BUSY, "far", "far"),
        (EndReason.REJECTED, "far", "near"),
        (EndReason.CANCELED, "near", "far"),
        (EndReason.NO_ANSWER, "bridge", "bridge"),
        (EndReason.NODE_LOST, "bridge", "bridge"),
        (EndReason.DRAINED, "bridge", "bridge"),
    ],
)
def test_the_reason_and_the_direction_say_who_ended_a_call(reason, outbound, inbound):
    record = replace(RECORD, reason=reason)
    assert ended_by(record) == outbound
    assert ended_by(replace(record, direction=Direction.INBOUND)) == inbound


def test_a_time_limit_is_the_bridges_end():
    assert ended_by(replace(RECORD, timed_out=True)) is EndedBy.BRIDGE


def test_a_live_call_was_ended_by_nobody():
    assert ended_by(replace(RECORD, reason=None, state=State.ACTIVE)) is None
