from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bridge.call.leg_state import ProviderRequest, ProviderState, TransportState
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
    Party,
    State,
)
from bridge.call.setup_timings import SetupTimings
from bridge.telemetry.call_spans import call_spans
from bridge.telemetry.span import Span
from bridge.telemetry.trace import Tracer
from bridge.wire.trace_context import NONE, read

CALL = CallId("0038071BC2334454A55D58A22C3B4095")
BEGAN = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
ENDED = BEGAN + timedelta(seconds=60)
SETUP = SetupTimings(
    offer=0.1, answer=0.2, ice=0.5, dtls=0.7, first_received=0.8, first_sent=0.75, dialled=0.05
)


def leg(leg_id="leg_1", kind=LegKind.WEBRTC, *, joined=2.0, left=50.0, **figures):
    return LegFigures(
        LegId(leg_id), kind, Party.NEAR, LegStatistics(**figures), joined=joined, left=left
    )


def record(*legs, reason=EndReason.HANGUP, context=NONE, peer="15550100001"):
    return CallRecord(
        facts=CallFacts(CALL, LineName("sales"), peer, BEGAN, CallDetails(trace=context)),
        direction=Direction.OUTBOUND,
        state=State.ENDED,
        reason=reason,
        seconds=60.0,
        legs=legs,
        answered_at=BEGAN + timedelta(seconds=5),
        ended_at=ENDED,
    )


def spans_of(*legs, **more):
    found = record(*legs, **more)
    trace = Tracer(list[Span]().append).of(CALL, found.facts.details.trace)
    return list(call_spans(found, trace, ENDED, monotonic=1000.0))


def times(span, since=BEGAN):
    return [(at - since).total_seconds() for at in (span.start, span.end)]


def named(spans, name):
    [found] = [span for span in spans if span.name == name]
    return found


def test_a_call_is_the_root_and_its_legs_are_its_children():
    *_, call = spans = spans_of(leg("a"), leg("b", LegKind.SIP))
    assert (call.name, call.parent_id, times(call)) == ("call", 0, [0.0, 60.0])
    legs = [span for span in spans if span.name.startswith("leg ")]
    assert [span.name for span in legs] == ["leg webrtc", "leg sip"]
    assert {span.parent_id for span in legs} == {call.span_id}
    assert times(legs[0]) == [2.0, 50.0]
    assert len({span.span_id for span in spans}) == len(spans)


def test_a_customers_span_is_the_parent_of_the_call():
    context = read("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")
    *_, call = spans = spans_of(leg(), context=context)
    assert (call.parent_id, call.is_parent_remote) == (0x00F067AA0BA902B7, True)
    assert {span.trace_id for span in spans} == {0x4BF92F3577B34DA6A3CE929D0E0E4736}


def test_what_the_call_was_is_said_and_not_with_whom():
    *_, call = spans_of()
    assert call.attributes == {
        "bridge.call.id": CALL,
        "bridge.line": "sales",
        "bridge.call.direction": "outbound",
        "bridge.call.answered": True,
        "bridge.call.from.channel": "whatsapp",
        "bridge.call.to.channel": "whatsapp",
        "bridge.call.end_reason": "hangup",
        "bridge.call.ended_by": "near",
        "bridge.call.ring_seconds": 5.0,
        "gen_ai.conversation.id": CALL,
    }
    assert call.error == ""


def test_a_call_that_failed_is_an_error_and_a_busy_one_is_none():
    assert spans_of(reason=EndReason.MEDIA_TIMEOUT)[-1].error == "media_timeout"
    assert spans_of(reason=EndReason.BUSY)[-1].error == ""


def test_the_steps_of_a_set_up_follow_each_other():
    spans = spans_of(leg(setup=SETUP, transport=TransportState(described=True, ice="connected")))
    seconds = {span.name: times(span) for span in spans}
    assert seconds["dial"] == [2.0, 2.05]
    assert seconds["signalling"] == [2.1, 2.2]
    assert seconds["ice"] == [2.2, 2.5]
    assert seconds["dtls"] == [2.5, 2.7]
    assert seconds["first packet sent"] == [2.7, 2.75]
    assert seconds["first packet received"] == [2.7, 2.8]
    assert "ring" not in seconds
    assert {span.parent_id for span in spans if span.name in ("ice", "dtls")} == {
        named(spans, "leg webrtc").span_id
    }


def test_a_step_that_was_never_done_is_an_error_as_long_as_the_leg():
    state = TransportState(described=True, ice="failed", failure="ice_failed")
    setup = SetupTimings(offer=0.1, answer=0.2)
    spans = spans_of(leg(setup=setup, transport=state))
    ice = named(spans, "ice")
    assert (ice.error, times(ice)) == ("ice_failed", [2.2, 50.0])
    assert named(spans, "leg webrtc").error == "ice_failed"
    assert [span for span in spans if span.name == "dtls"] == []


def test_a_leg_that_came_back_under_its_id_is_another_span():
    spans = spans_of(leg("a", left=10.0), leg("a", joined=12.0))
    legs = [span for span in spans if span.name == "leg webrtc"]
    assert len({span.span_id for span in legs}) == 2


def test_a_leg_that_was_there_at_the_end_ends_with_the_call():
    assert times(named(spans_of(leg(left=None)), "leg webrtc")) == [2.0, 60.0]


def test_what_a_provider_was_asked_is_a_span_of_its_leg():
    asked = (ProviderRequest(950.0, 0.5), ProviderRequest(960.0, 5.0, "timeout"))
    spans = spans_of(leg(provider=ProviderState(latest=asked)))
    requests = [span for span in spans if span.name == "provider request"]
    assert [times(span, ENDED) for span in requests] == [[-50.0, -49.5], [-40.0, -35.0]]
    assert [span.error for span in requests] == ["", "timeout"]
    assert {span.parent_id for span in requests} == {named(spans, "leg webrtc").span_id}


def test_no_number_or_identity_of_a_party_is_in_any_span():
    known = replace(leg(setup=SETUP), identity="Canary Name")
    assert not any(
        word in str(spans_of(known, peer="15550100001")) for word in ("15550100001", "Canary")
    )
