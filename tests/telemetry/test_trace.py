import asyncio

import pytest

from bridge.errors import LegError
from bridge.telemetry.span import Span, SpanKind
from bridge.telemetry.trace import OFF, UNTRACED, Tracer
from bridge.wire.trace_context import NONE, read

CALL = "0038071BC2334454A55D58A22C3B4095"
CUSTOMERS = read("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", "a=1")

pytestmark = pytest.mark.virtual_time


def test_a_trace_without_a_parent_has_the_calls_id():
    trace = Tracer(list[Span]().append).of(CALL, NONE)
    assert f"{trace.trace_id:032x}" == CALL.lower()
    assert trace.headers(7) == {"traceparent": f"00-{CALL.lower()}-{7:016x}-01"}


def test_a_call_of_a_customers_request_belongs_to_its_trace():
    trace = Tracer(list[Span]().append).of(CALL, CUSTOMERS)
    assert trace.headers(7) == {
        "traceparent": f"00-4bf92f3577b34da6a3ce929d0e0e4736-{7:016x}-01",
        "tracestate": "a=1",
    }


def test_another_process_finds_the_same_ids():
    one, other = (Tracer(list[Span]().append).of(CALL, CUSTOMERS) for _ in range(2))
    assert (one.trace_id, one.root_id) == (other.trace_id, other.root_id)
    assert one.leg_id("a") == other.leg_id("a")
    assert len({one.root_id, one.leg_id("a"), one.leg_id("b"), one.span_id("step", "a")}) == 4


def test_without_an_endpoint_nothing_is_traced_or_handed_on():
    assert not OFF.enabled
    assert OFF.of(CALL, CUSTOMERS) is UNTRACED
    assert UNTRACED.request("x", {"a": 1}).headers == {}


def test_the_share_of_recorded_traces_is_the_ratio_and_each_decision_is_its_trace_ids():
    def recorded(ratio: float) -> set[int]:
        tracer = Tracer(list[Span]().append, ratio=ratio)
        ids = (n * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128) for n in range(1, 2001))
        return {n for n in ids if tracer.of(f"{n:032X}", NONE).take is not None}

    few, many = recorded(0.1), recorded(0.5)
    assert (len(recorded(0.0)), len(recorded(1.0))) == (0, 2000)
    assert len(few) == pytest.approx(200, abs=40)
    assert len(many) == pytest.approx(1000, abs=80)
    assert few < many


def test_the_ratio_decides_whatever_the_customers_flag_says():
    sampled = read("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    assert Tracer(list[Span]().append, ratio=1.0).of(CALL, CUSTOMERS).take is not None
    assert Tracer(list[Span]().append, ratio=0.0).of(CALL, sampled).take is None


def test_a_call_that_is_not_recorded_hands_on_what_it_came_with():
    tracer = Tracer(list[Span]().append, ratio=0.0)
    assert tracer.of(CALL, CUSTOMERS).request("x", {}).headers == CUSTOMERS.headers()
    assert tracer.of(CALL, NONE).request("x", {}).headers == {}


async def test_a_request_is_a_span_from_its_beginning_to_its_end():
    spans: list[Span] = []
    trace = Tracer(spans.append).of(CALL, NONE)
    with trace.request("POST webhook", {"a": 1}, leg_id="leg") as span:
        await asyncio.sleep(2.5)
        span.answered(204)
    [made] = spans
    assert (made.name, made.kind, made.error) == ("POST webhook", SpanKind.CLIENT, "")
    assert made.parent_id == trace.leg_id("leg")
    assert (made.end - made.start).total_seconds() == 2.5
    assert made.attributes == {"a": 1, "http.response.status_code": 204}
    assert span.headers == trace.headers(made.span_id)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "timeout"),
        (LegError("about 15550100001"), "LegError"),
        (GeneratorExit(), ""),
    ],
)
async def test_of_an_error_its_class_is_said_and_no_word(error, said):
    spans: list[Span] = []
    request = Tracer(spans.append).of(CALL, NONE).request("x", {})
    with pytest.raises(type(error)), request:
        raise error
    assert spans[0].error == said
    assert "15550100001" not in str(spans)


async def test_a_status_above_400_is_an_error_and_a_cancelled_request_is_none():
    spans: list[Span] = []
    trace = Tracer(spans.append).of(CALL, NONE)
    with trace.request("x", {}) as span:
        span.answered(503)
    with pytest.raises(asyncio.CancelledError), trace.request("x", {}):
        raise asyncio.CancelledError
    assert [span.error for span in spans] == ["503", ""]
    assert spans[1].attributes == {"bridge.cancelled": True}
