"""The spans of an ended call, from its record: the call, its legs, and the steps of their set-up."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from bridge.call.model import CallRecord, EndReason, LegFigures
from bridge.call.parties import parties_of
from bridge.call.view import ended_by
from bridge.telemetry.span import AttributeValue, Span, SpanEvent, SpanKind
from bridge.telemetry.trace import Trace

FAILURES: Final = frozenset(
    {EndReason.FAILED, EndReason.MEDIA_TIMEOUT, EndReason.NODE_LOST, EndReason.UNREACHABLE}
)
"""End reasons that are errors; busy, rejected and cancelled calls are not."""


class Step(NamedTuple):
    """A step of a leg's set-up."""

    name: str
    after: tuple[str, ...]
    """Steps of `SetupTimings` that precede it: it begins when the last of them is done, or else with the leg."""
    done: str
    """The step of `SetupTimings` that ends it."""


STEPS: Final = (
    Step("dial", (), "dialled"),
    Step("ring", ("ringing",), "accepted"),
    Step("signalling", ("offer",), "answer"),
    Step("ice", ("offer", "answer"), "ice"),
    Step("dtls", ("ice",), "dtls"),
    Step("media socket", ("dialled", "accepted"), "socket"),
    Step("first packet received", ("answer", "ice", "dtls", "socket"), "first_received"),
    Step("first packet sent", ("answer", "ice", "dtls", "socket"), "first_sent"),
)


def call_spans(
    record: CallRecord,
    trace: Trace,
    now: datetime,
    monotonic: float,
    noted: Sequence[SpanEvent] = (),
) -> Iterator[Span]:
    """Yield all spans of an ended call.

    What has no end ends `now`, the Unix time at which the monotonic clock shows `monotonic`; `noted` are the events of the call's span.
    """
    begin = record.facts.started_at
    end = max(record.ended_at or now, begin)
    seen: set[str] = set()
    for number, leg in enumerate(record.legs):
        # A browser that reconnected has the same leg id again.
        names = (str(number),) if leg.leg_id in seen else ()
        span_id = trace.span_id("leg", leg.leg_id, *names) if names else trace.leg_id(leg.leg_id)
        seen.add(leg.leg_id)
        yield from _leg_spans(leg, trace, span_id, begin, end)
        yield from _requests(leg, trace, span_id, now - timedelta(seconds=monotonic))
    reason = record.reason
    yield Span(
        name="call",
        kind=SpanKind.SERVER,
        trace_id=trace.trace_id,
        span_id=trace.root_id,
        parent_id=trace.context.span_id,
        is_parent_remote=bool(trace.context.span_id),
        start=begin,
        end=end,
        attributes=_of_call(record),
        error=reason.value if reason in FAILURES else "",
        events=noted,
    )


def _of_call(record: CallRecord) -> Mapping[str, AttributeValue]:
    parties, who = parties_of(record), ended_by(record)
    found: dict[str, AttributeValue] = {
        "bridge.call.id": record.facts.call_id,
        "bridge.line": record.facts.line,
        "bridge.call.direction": record.direction.value,
        "bridge.call.answered": record.answered_at is not None,
        "bridge.call.from.channel": parties.from_channel,
        "bridge.call.to.channel": parties.to_channel,
        "bridge.call.end_reason": record.reason.value if record.reason else "",
        "bridge.call.ended_by": who.value if who else "",
        "gen_ai.conversation.id": record.facts.call_id,
    }
    if record.answered_at is not None:
        ring = (record.answered_at - record.facts.started_at).total_seconds()
        found["bridge.call.ring_seconds"] = round(max(0.0, ring), 3)
    return found


def _leg_spans(
    leg: LegFigures, trace: Trace, span_id: int, begin: datetime, call_end: datetime
) -> Iterator[Span]:
    start = begin + timedelta(seconds=leg.joined)
    end = call_end if leg.left is None else begin + timedelta(seconds=leg.left)
    end = max(start, end)
    transport = leg.statistics.transport
    failure = transport.failure if transport is not None else ""

    def child(name: str, at: datetime, until: datetime, error: str = "") -> Span:
        return Span(
            name=name,
            kind=SpanKind.INTERNAL,
            trace_id=trace.trace_id,
            span_id=trace.span_id("step", f"{span_id:x}", name),
            parent_id=span_id,
            start=at,
            end=max(at, until),
            attributes={"bridge.leg.kind": leg.kind.value},
            error=error,
        )

    for name, at, until, done in _steps(leg, (end - start).total_seconds()):
        error = "" if done else failure or "not_done"
        yield child(name, start + timedelta(seconds=at), start + timedelta(seconds=until), error)
    yield Span(
        name=f"leg {leg.kind.value}",
        kind=SpanKind.INTERNAL,
        trace_id=trace.trace_id,
        span_id=span_id,
        parent_id=trace.root_id,
        start=start,
        end=end,
        attributes=_of_leg(leg),
        error=failure,
    )


def _requests(leg: LegFigures, trace: Trace, span_id: int, zero: datetime) -> Iterator[Span]:
    """Yield the requests of a leg to its provider; `zero` is the Unix time at which the clock of its figures was 0."""
    provider = leg.statistics.provider
    for number, one in enumerate(provider.latest if provider is not None else ()):
        start = zero + timedelta(seconds=one.began)
        yield Span(
            name="provider request",
            kind=SpanKind.CLIENT,
            trace_id=trace.trace_id,
            span_id=trace.span_id("request", f"{span_id:x}", str(number)),
            parent_id=span_id,
            start=start,
            end=start + timedelta(seconds=one.seconds),
            attributes={"bridge.leg.kind": leg.kind.value},
            error=one.error,
        )


def _steps(leg: LegFigures, seconds: float) -> Iterator[tuple[str, float, float, bool]]:
    """Yield the steps of a leg's set-up: when each began and ended, and whether it succeeded."""
    timings, transport = leg.statistics.setup, leg.statistics.transport
    done = timings.done() if timings is not None else {}
    for step in STEPS:
        until = done.get(step.done)
        if until is not None:
            begins = [done[one] for one in step.after if one in done and done[one] <= until]
            yield step.name, max(begins, default=0.0), until, True
    if transport is None or transport.plain or not transport.described:
        return
    stages = {"ice": transport.ice, "dtls": transport.dtls}
    for step in STEPS:
        if step.done not in done and stages.get(step.done) in ("checking", "failed"):
            begins = [done[one] for one in step.after if one in done]
            yield step.name, max(begins, default=0.0), max(seconds, *begins, 0.0), False


def _of_leg(leg: LegFigures) -> Mapping[str, AttributeValue]:
    figures = leg.statistics
    found: dict[str, AttributeValue] = {
        "bridge.leg.id": leg.leg_id,
        "bridge.leg.kind": leg.kind.value,
        "bridge.leg.party": leg.party.value,
    }
    if leg.kind.traits.carries_rtp:
        found["bridge.leg.packets.received"] = figures.received.packets
        found["bridge.leg.packets.lost"] = figures.received.lost
        found["bridge.leg.packets.sent"] = figures.sent.packets
    if figures.round_trip_seconds is not None:
        found["bridge.leg.round_trip_seconds"] = round(figures.round_trip_seconds, 4)
    if figures.transport is not None and figures.transport.codec:
        found["bridge.leg.codec"] = figures.transport.codec
    return found
