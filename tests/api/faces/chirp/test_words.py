"""Chirp's words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from bridge.api.faces.chirp import words
from bridge.api.faces.chirp.words import failure, status
from bridge.call.model import (
    CallDetails,
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
    Parties,
    Party,
    State,
)
from bridge.errors import CallNotFound, InvalidRequest

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
FACTS = CallFacts(CallId("0" * 32), LineName("sales"), "15550100001", AT)
LIVE = CallRecord(FACTS, Direction.OUTBOUND, State.ACTIVE, None, 1.0, ())
ENDED = replace(
    LIVE, state=State.ENDED, reason=EndReason.HANGUP, ended_at=AT + timedelta(seconds=60)
)


def call(record, **more):
    return msgspec.json.decode(msgspec.json.encode(words.call(record, **more)))


@pytest.mark.parametrize(
    ("ours", "word"),
    [
        (State.INITIATED, "initiated"),
        (State.RINGING, "ringing"),
        (State.CONNECTING, "ringing"),
        (State.ACTIVE, "in_progress"),
        (State.HELD, "in_progress"),
    ],
)
def test_each_state_has_its_word(ours, word):
    assert status(replace(LIVE, state=ours)) == word


@pytest.mark.parametrize(
    ("ours", "answered", "unanswered"),
    [
        (EndReason.HANGUP, "completed", "completed"),
        (EndReason.REMOTE_HANGUP, "completed", "completed"),
        (EndReason.REJECTED, "failed", "failed"),
        (EndReason.BUSY, "busy", "busy"),
        (EndReason.NO_ANSWER, "no_answer", "no_answer"),
        (EndReason.CANCELED, "canceled", "canceled"),
        (EndReason.UNREACHABLE, "failed", "failed"),
        (EndReason.FAILED, "failed", "failed"),
        (EndReason.MEDIA_TIMEOUT, "completed", "failed"),
        (EndReason.NODE_LOST, "completed", "failed"),
        (EndReason.DRAINED, "completed", "failed"),
    ],
)
def test_each_end_has_its_word(ours, answered, unanswered):
    record = replace(ENDED, reason=ours)
    assert status(replace(record, answered_at=AT)) == answered
    assert status(record) == unanswered


def test_who_hung_up_makes_no_difference_to_the_reason():
    assert call(replace(ENDED, reason=EndReason.REMOTE_HANGUP))["endReason"] == "hangup"
    assert call(replace(ENDED, reason=EndReason.NO_ANSWER))["endReason"] == "no_answer"
    assert call(LIVE)["endReason"] is None


def test_the_duration_counts_from_the_answer_on():
    assert call(replace(ENDED, answered_at=AT + timedelta(seconds=20)))["duration"] == 40
    assert call(ENDED)["duration"] == 0
    assert call(LIVE)["duration"] is None


def test_a_call_has_not_started_before_it_rings():
    assert call(replace(LIVE, state=State.INITIATED))["startedAt"] is None
    assert call(LIVE)["startedAt"] == "2030-01-02T03:04:05.000Z"


def test_a_call_without_browsers_has_no_room():
    assert call(LIVE)["livekitRoomName"] is None
    browser = LegFigures(LegId("leg_1"), LegKind.WEBRTC, Party.NEAR, LegStatistics())
    assert call(replace(LIVE, legs=(browser,)))["livekitRoomName"] == "room_" + "0" * 27


def test_a_call_repeats_what_the_request_named():
    said = Parties("webrtc-user-1", "+15550100001", "webrtc", "whatsapp")
    facts = replace(FACTS, details=CallDetails(said, b'{"order":7}'))
    sent = call(replace(LIVE, facts=facts), test=True)
    assert sent["id"] == "call_test_" + "0" * 27
    assert (sent["fromAddress"], sent["fromChannel"]) == ("webrtc-user-1", "webrtc")
    assert sent["metadata"] == {"order": 7}
    assert sent["livekitRoomName"] == "room_" + "0" * 27


def test_an_error_is_bare():
    assert failure(CallNotFound("there is no such call")) == {"error": "there is no such call"}


def test_an_error_names_the_field():
    assert failure(InvalidRequest("missing to", field="to"))["field"] == "to"
