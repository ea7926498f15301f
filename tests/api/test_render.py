"""Tests of how calls, legs and errors are written as JSON."""

import json
from datetime import UTC, datetime

import pytest

from bridge.api import render
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
from bridge.errors import CallNotFound, InvalidRequest, LimitExceeded


def record(*legs, state=State.ACTIVE, peer="15550100001", reason=None):
    started = datetime(2030, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC)
    facts = CallFacts(CallId("00AB"), LineName("demo"), peer, started)
    return CallRecord(facts, Direction.OUTBOUND, state, reason, 12.3456, legs)


def leg(statistics, kind=LegKind.WEBRTC):
    return LegFigures(LegId("leg_1"), kind, Party.NEAR, statistics)


def body_of(response):
    return json.loads(response.text)


def test_a_call_is_listed_with_what_the_documents_name():
    assert render.call(record()) == {
        "callId": "00AB",
        "peer": "15550100001@s.whatsapp.net",
        "state": "active",
        "direction": "outbound",
        "video": False,
        "recording": False,
        "startedAt": "2030-01-02T03:04:05.678Z",
    }


@pytest.mark.parametrize(
    ("state", "word"),
    [(State.INITIATED, "calling"), (State.RINGING, "ringing"), (State.HELD, "active")],
)
def test_states_have_the_words_of_the_native_api(state, word):
    assert render.call(record(state=state))["state"] == word


def test_a_peer_that_is_no_number_is_no_jid():
    assert render.call(record(peer="webrtc"))["peer"] == "webrtc"


def test_the_figures_of_an_ended_call_say_why_it_ended():
    body = render.quality(record(state=State.ENDED, reason=EndReason.BUSY))
    assert (body["state"], body["endReason"], body["seconds"]) == ("ended", "busy", 12.346)
    assert body["legs"] == []


def test_losses_are_a_share_of_what_should_have_come():
    received = ReceivedAudio(packets=95, lost=5, jitter_seconds=0.00234)
    statistics = LegStatistics(received=received, round_trip_seconds=0.0301)
    [one] = render.quality(record(leg(statistics)))["legs"]
    assert one["received"]["lossRatio"] == 0.05
    assert one["received"]["jitterMs"] == 2.34
    assert one["roundTripMs"] == 30.1
    assert 1 <= one["mos"] <= 4.5


def test_more_loss_is_a_lower_mos():
    def mos(lost):
        received = ReceivedAudio(packets=1000 - lost, lost=lost)
        return render.quality(record(leg(LegStatistics(received=received))))["legs"][0]["mos"]

    assert mos(0) > mos(30) > mos(150)


def test_what_is_not_known_is_null():
    [one] = render.quality(record(leg(LegStatistics())))["legs"]
    assert (one["roundTripMs"], one["mos"]) == (None, None)
    assert one["received"]["lossRatio"] == 0.0


def test_a_leg_without_rtp_has_no_mos():
    statistics = LegStatistics(received=ReceivedAudio(packets=50), sent=SentAudio(packets=50))
    [one] = render.quality(record(leg(statistics, LegKind.SIMULATOR)))["legs"]
    assert one["mos"] is None


def test_discarded_datagrams_are_told_by_reason():
    [one] = render.quality(record(leg(LegStatistics(discarded={"empty": 2}))))["legs"]
    assert one["discarded"] == {"empty": 2}


def test_success_wraps_the_payload_and_may_have_something_beside_it():
    response = render.success({"callId": "00AB"}, call={"callID": "00AB"})
    assert body_of(response) == {
        "code": 200,
        "data": {"callId": "00AB"},
        "success": True,
        "call": {"callID": "00AB"},
    }


def test_an_error_has_its_status_its_words_and_the_field():
    response = render.failure(InvalidRequest("missing phone in payload", field="phone"))
    assert response.status == 400
    assert body_of(response) == {
        "code": 400,
        "error": "missing phone in payload",
        "success": False,
        "field": "phone",
    }


def test_an_error_about_no_field_names_none():
    response = render.failure(CallNotFound("there is no such call"))
    assert response.status == 404
    assert "field" not in body_of(response)
    assert "Retry-After" not in response.headers


def test_a_limit_says_when_to_come_back():
    response = render.failure(LimitExceeded("too many calls"))
    assert (response.status, response.headers["Retry-After"]) == (503, "5")
