"""Rendering calls, their figures and errors."""

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from bridge.api.calls import render
from bridge.call.model import (
    CallDetails,
    CallFacts,
    CallId,
    CallRecord,
    DeliveryPath,
    Direction,
    EndReason,
    LegFigures,
    LegId,
    LegKind,
    LegStatistics,
    LineName,
    Parties,
    Party,
    ReceivedAudio,
    SentAudio,
    State,
)
from bridge.errors import InvalidRequest, InvalidState

STARTED = datetime(2030, 1, 2, 3, 4, 5, 678_900, UTC)
RECORD = CallRecord(
    facts=CallFacts(CallId("00AB"), LineName("line"), "15550100001", STARTED),
    direction=Direction.OUTBOUND,
    state=State.ACTIVE,
    reason=None,
    seconds=12.34567,
    legs=(),
)
HEARD = LegStatistics(
    received=ReceivedAudio(
        packets=95, bytes=9500, lost=5, frames=100, concealed_frames=4, fec_frames=1,
        jitter_seconds=0.01234, level_dbov=-23.45,
    ),
    sent=SentAudio(packets=100, bytes=10_000, forwarded_packets=60, remote_loss_ratio=0.01234),
    round_trip_seconds=0.04321,
    discarded={"empty": 3},
)  # fmt: skip


def leg(statistics=HEARD, kind=LegKind.WEBRTC):
    figures = LegFigures(LegId("leg_1"), kind, Party.NEAR, statistics)
    [shown] = render.quality(replace(RECORD, legs=(figures,))).legs
    return msgspec.to_builtins(shown)


def test_a_call_is_shown_as_the_status_lists_it():
    assert msgspec.to_builtins(render.call(RECORD)) == {
        "callId": "00AB",
        "peer": "15550100001@s.whatsapp.net",
        "from": "",
        "to": "+15550100001",
        "state": "active",
        "direction": "outbound",
        "video": False,
        "recording": False,
        "startedAt": "2030-01-02T03:04:05.678Z",
    }


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (State.INITIATED, "calling"),
        (State.RINGING, "ringing"),
        (State.CONNECTING, "connecting"),
        (State.HELD, "active"),
    ],
)
def test_states_have_their_native_words(state, word):
    assert render.call(replace(RECORD, state=state)).state == word


def test_a_peer_that_is_no_number_is_shown_as_it_is():
    browser = replace(RECORD, facts=replace(RECORD.facts, peer="webrtc"))
    assert render.call(browser).peer == "webrtc"


@pytest.mark.parametrize(
    ("direction", "parties"),
    [
        (Direction.OUTBOUND, Parties(to_channel="pstn")),
        (Direction.INBOUND, Parties(from_channel="pstn")),
    ],
)
def test_a_telephone_is_no_user_of_whatsapp(direction, parties):
    facts = replace(RECORD.facts, peer="4930123456", details=CallDetails(parties))
    assert render.call(replace(RECORD, facts=facts, direction=direction)).peer == "4930123456"


def test_a_call_that_has_ended_says_why():
    ended = render.quality(replace(RECORD, state=State.ENDED, reason=EndReason.BUSY))
    assert (ended.state, ended.end_reason, ended.seconds) == ("ended", "busy", 12.346)


def test_a_leg_is_shown_in_milliseconds_and_ratios():
    shown = leg()
    assert shown["roundTripMs"] == 43.2
    assert shown["received"]["jitterMs"] == 12.34
    assert shown["received"]["lossRatio"] == 0.05
    assert shown["received"]["levelDbov"] == -23.4
    assert shown["received"]["concealedFrames"] == 4
    assert shown["sent"]["remoteLossRatio"] == 0.0123
    assert shown["discarded"] == {"empty": 3}


def test_a_leg_says_on_which_road_it_is_served():
    served = LegFigures(LegId("l"), LegKind.WEBRTC, Party.FAR, HEARD, DeliveryPath.PASSTHROUGH)
    [shown] = render.quality(replace(RECORD, legs=(served,))).legs
    assert (shown.road, shown.sent["relayedPackets"]) == ("relay", 60)
    assert leg()["road"] is None


def test_loss_makes_the_estimated_quality_worse():
    clean = replace(HEARD, received=replace(HEARD.received, lost=0))
    assert 1.0 < leg()["mos"] < leg(clean)["mos"] < 4.6


def test_there_is_no_estimate_of_what_has_not_been_heard_or_has_no_network():
    assert leg(LegStatistics())["mos"] is None
    assert leg(LegStatistics())["roundTripMs"] is None
    assert leg(kind=LegKind.SIMULATOR)["mos"] is None


def test_figures_are_json():
    msgspec.json.encode(
        render.quality(
            replace(RECORD, legs=(LegFigures(LegId("l"), LegKind.WEBRTC, Party.FAR, HEARD),))
        )
    )


def test_a_failure_has_code_and_words():
    assert render.failure(InvalidState("the call has ended")) == {
        "code": 409,
        "error": "the call has ended",
        "success": False,
    }


def test_a_failure_names_the_field():
    error = InvalidRequest("missing sdp in payload", field="sdp")
    assert render.failure(error)["field"] == "sdp"
