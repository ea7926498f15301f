"""WADial's words."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from bridge.api.faces.wadial.words import failure, snapshot
from bridge.call.model import CallFacts, CallId, CallRecord, Direction, EndReason, LineName, State
from bridge.errors import CallNotFound, InvalidRequest, LimitExceeded

AT = datetime(2030, 1, 2, 3, 4, 5, 678900, UTC)
FACTS = CallFacts(CallId("0" * 32), LineName("sales"), "15550100001", AT)
LIVE = CallRecord(FACTS, Direction.OUTBOUND, State.ACTIVE, None, 1.0, ())


@pytest.mark.parametrize(
    ("ours", "word"),
    [
        (State.INITIATED, "initiating"),
        (State.RINGING, "ringing"),
        (State.CONNECTING, "connecting"),
        (State.ACTIVE, "active"),
        (State.HELD, "active"),
        (State.ENDED, "ended"),
    ],
)
def test_each_state_has_its_word(ours, word):
    assert snapshot(replace(LIVE, state=ours)).state == word


def test_a_snapshot_tells_moments_in_milliseconds():
    record = replace(
        LIVE,
        state=State.ENDED,
        reason=EndReason.HANGUP,
        answered_at=AT + timedelta(seconds=1),
        ended_at=AT + timedelta(seconds=2),
    )
    told = msgspec.to_builtins(snapshot(record))
    assert told["createdAt"] == told["startedAt"] == "2030-01-02T03:04:05.678Z"
    assert told["answeredAt"] == "2030-01-02T03:04:06.678Z"
    assert told["endedAt"] == "2030-01-02T03:04:07.678Z"


@pytest.mark.parametrize(
    ("direction", "word"), [(Direction.OUTBOUND, "outgoing"), (Direction.INBOUND, "incoming")]
)
def test_each_direction_has_its_word(direction, word):
    assert snapshot(replace(LIVE, direction=direction)).direction == word


def test_an_error_has_a_code_and_a_message():
    answer = failure(CallNotFound("there is no such call"))
    assert answer.status == 404
    told = {"code": "call_not_found", "message": "there is no such call"}
    assert json.loads(answer.text or "") == {"error": told}


def test_an_error_names_the_field_that_is_wrong():
    answer = failure(InvalidRequest("missing to", field="to"))
    assert json.loads(answer.text or "")["error"]["field"] == "to"


def test_an_error_says_when_to_come_again():
    assert failure(LimitExceeded("full")).headers["Retry-After"] == "5"
