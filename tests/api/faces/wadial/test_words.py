"""WADial's words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from bridge.api.faces.wadial.words import call_object, failure
from bridge.call.model import CallFacts, CallId, CallRecord, Direction, EndReason, LineName, State
from bridge.errors import CallNotFound, InvalidRequest

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
    assert call_object(replace(LIVE, state=ours)).state == word


def test_a_snapshot_has_times_in_milliseconds():
    record = replace(
        LIVE,
        state=State.ENDED,
        reason=EndReason.HANGUP,
        answered_at=AT + timedelta(seconds=1),
        ended_at=AT + timedelta(seconds=2),
    )
    sent = msgspec.to_builtins(call_object(record))
    assert sent["createdAt"] == sent["startedAt"] == "2030-01-02T03:04:05.678Z"
    assert sent["answeredAt"] == "2030-01-02T03:04:06.678Z"
    assert sent["endedAt"] == "2030-01-02T03:04:07.678Z"


@pytest.mark.parametrize(
    ("direction", "word"), [(Direction.OUTBOUND, "outgoing"), (Direction.INBOUND, "incoming")]
)
def test_each_direction_has_its_word(direction, word):
    assert call_object(replace(LIVE, direction=direction)).direction == word


def test_an_error_has_a_code_and_a_message():
    sent = {"code": "call_not_found", "message": "there is no such call"}
    assert failure(CallNotFound("there is no such call")) == {"error": sent}


def test_an_error_names_the_field_that_is_wrong():
    assert failure(InvalidRequest("missing to", field="to"))["error"]["field"] == "to"
