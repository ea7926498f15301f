"""A call that passes to another process goes on in its trace, which has one root."""

from dataclasses import replace

import pytest

from bridge.call import events
from bridge.telemetry.observer import CallObserver
from bridge.telemetry.span import Span
from bridge.telemetry.trace import Tracer
from bridge.wire.trace_context import read
from tests.support.handover.node_pair import FAR, NEAR, NodePair

CUSTOMERS = read("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


@pytest.mark.parametrize("context", [CUSTOMERS, read("")])
async def test_what_another_process_ends_is_the_same_trace_and_told_once(context):
    pair, spans = NodePair(), (list[Span](), list[Span]())
    for node, taken in zip((pair.old, pair.new), spans, strict=True):
        observer = CallObserver(Tracer(taken.append), node.manager.record)
        node.manager.publisher.subscribe(observer.on_event)
    runner = await pair.talk()
    runner.facts = replace(runner.facts, details=replace(runner.facts.details, trace=context))
    trace = Tracer(spans[0].append).of(runner.facts.call_id, context)
    moved = await pair.move(runner.facts.call_id)
    moved.dispatch(events.HangupRequested())
    await pair.aclose()
    before, after = spans
    assert before == []
    roots = [span for span in after if span.name == "call"]
    assert [(span.span_id, span.parent_id) for span in roots] == [(trace.root_id, context.span_id)]
    assert {span.trace_id for span in after} == {trace.trace_id}
    legs = {span.span_id for span in after if span.name.startswith("leg ")}
    assert legs == {trace.leg_id(FAR), trace.leg_id(NEAR)}
