from datetime import timedelta

import msgspec
import pytest

from bridge.call.model import LineName
from bridge.call.view import lost_record
from bridge.errors import CallNotFound
from bridge.telemetry.observer import CallObserver
from bridge.telemetry.span import Span, SpanKind
from bridge.telemetry.trace import OFF, Tracer
from bridge.wire.trace_context import NONE
from tests.support.published import AT, call_event

CALL = "0038071BC2334454A55D58A22C3B4095"
TURN = {
    "turn": 3,
    "legID": "leg_1",
    "bot": "twilio",
    "startedAt": "2026-03-01T09:00:10.000Z",
    "speechMs": 1000,
    "waitMs": 800,
    "answerMs": 2000,
    "estimated": True,
    "parts": {"endOfSpeech": None, "toBot": 20, "bot": 700, "queue": 20, "toCaller": 60},
    "filler": None,
    "tool": 500,
    "interrupted": True,
    "overlapMs": 250,
}


def observed(kind, tracer=None, **data):
    spans: list[Span] = []
    tracer = tracer or Tracer(spans.append)

    def nothing(line, call_id):
        raise CallNotFound("it is forgotten")

    CallObserver(tracer, nothing).on_event(call_event(kind, CALL, **data))
    return spans


def test_a_turn_is_a_span_of_its_bots_leg_with_its_parts():
    [turn] = observed("turn", **TURN)
    trace = Tracer(list[Span]().append).of(CALL, NONE)
    assert (turn.name, turn.kind) == ("invoke_agent twilio", SpanKind.CLIENT)
    assert turn.parent_id == trace.leg_id("leg_1")
    assert turn.start == AT + timedelta(seconds=10)
    assert (turn.end - turn.start).total_seconds() == 3.8
    assert turn.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "twilio",
        "gen_ai.conversation.id": CALL,
        "gen_ai.agent.invocation.end_reason": "interrupted",
        "bridge.turn.number": 3,
        "bridge.turn.estimated": True,
        "bridge.turn.speech_ms": 1000,
        "bridge.turn.wait_ms": 800,
        "bridge.turn.answer_ms": 2000,
        "bridge.turn.overlap_ms": 250,
        "bridge.turn.tool_ms": 500,
        "bridge.turn.wait.to_bot_ms": 20,
        "bridge.turn.wait.bot_ms": 700,
        "bridge.turn.wait.queue_ms": 20,
        "bridge.turn.wait.to_caller_ms": 60,
    }


def test_a_turn_of_our_agent_is_no_request_to_another_program():
    [turn] = observed("turn", **TURN | {"bot": "agent"})
    assert turn.kind is SpanKind.INTERNAL


def test_a_reply_of_an_agent_has_its_steps():
    data = {"legID": "leg_1", "sttMs": 200, "llmMs": 300, "firstAudioMs": 600, "overheadMs": 100}
    [reply] = observed("agent.replied", **data)
    assert (reply.end, (reply.end - reply.start).total_seconds()) == (AT, 0.6)
    assert reply.attributes == {
        "bridge.agent.stt_ms": 200,
        "bridge.agent.llm_ms": 300,
        "bridge.agent.first_audio_ms": 600,
        "bridge.agent.overhead_ms": 100,
    }


@pytest.mark.parametrize("kind", ["transcript", "digit.received", "call.answered", "call.ended"])
def test_of_other_events_and_forgotten_calls_nothing_is_made(kind):
    assert observed(kind, digit="4", text="canary") == []


async def test_a_call_that_is_lost_with_its_node_has_a_span_that_failed():
    spans: list[Span] = []
    call = call_event("call.ended", CALL).call
    assert call is not None
    lost = msgspec.structs.replace(call, reason="node_lost", ended_at=AT + timedelta(seconds=60))
    record = lost_record(LineName("sales"), lost)

    def nothing(line, call_id):
        raise CallNotFound("it is not this node's")

    CallObserver(Tracer(spans.append), nothing).ended_silently(record)
    [span] = spans
    assert (span.name, span.error) == ("call", "node_lost")
    assert (span.end - span.start).total_seconds() == 60.0


@pytest.mark.parametrize("ended", [False, True])
async def test_what_happened_during_a_call_is_told_with_its_span(ended):
    spans: list[Span] = []
    found = call_event("call.problem", CALL, code="bot_silent", summary="canary")
    call = found.call
    assert call is not None
    over = msgspec.structs.replace(call, reason="hangup", ended_at=AT + timedelta(seconds=60))
    record = lost_record(LineName("sales"), over)
    observer = CallObserver(Tracer(spans.append), lambda line, call_id: record)
    observer.on_event(msgspec.structs.replace(found, call=over if ended else call))
    observer.on_event(call_event("call.ended", CALL))
    [span] = spans
    codes = [one.attributes["bridge.problem.code"] for one in span.events]
    assert codes == ([] if ended else ["bot_silent"])


def test_without_traces_events_are_not_looked_at():
    assert observed("turn", OFF, **TURN) == []
    assert observed("call.problem", OFF, code="bot_silent") == []
