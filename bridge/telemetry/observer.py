"""Makes the spans of calls from their events and records, so that the code of calls contains no tracing."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bridge.call.model import CallId, CallRecord, LineName
from bridge.errors import CallNotFound
from bridge.telemetry.call_events import NOTED, CallEvents
from bridge.telemetry.call_spans import call_spans
from bridge.telemetry.span import AttributeValue, Span, SpanKind
from bridge.telemetry.trace import Trace, Tracer
from bridge.wire.call_event import CallEvent, EventType

NAMES: Final = {
    "endOfSpeech": "end_of_speech",
    "toBot": "to_bot",
    "toCaller": "to_caller",
    "firstAudio": "first_audio",
}
"""Names of attributes for parts of a turn or reply whose names have several words."""
OWN_AGENT: Final = "agent"
"""The kind of bot that is part of the bridge."""


class CallObserver:
    """Observes the calls of a node; a subscriber of its `Publisher`."""

    def __init__(self, tracer: Tracer, record_of: Callable[[LineName, CallId], CallRecord]) -> None:
        self._tracer = tracer
        self._record_of = record_of
        self._observed: Mapping[str, Callable[[Trace, CallEvent], None]] = {
            EventType.CALL_ENDED: self._ended,
            EventType.TURN: self._turn,
            EventType.AGENT_REPLIED: self._replied,
        }
        self._noted = CallEvents()

    def on_event(self, event: CallEvent) -> None:
        """Export the spans that an event completes."""
        observe = self._observed.get(event.type)
        if event.call is None or (observe is None and event.type not in NOTED):
            return
        trace = self._tracer.of(event.call.id, event.call.trace)
        if trace.take is None:
            return
        if observe is not None:
            observe(trace, event)
        elif event.call.ended_at is None:
            self._noted.note(event.call.id, event)

    def ended_silently(self, record: CallRecord) -> None:
        """Export the spans of a call without an end event: its provider refused it, or its process died."""
        trace = self._tracer.of(record.facts.call_id, record.facts.details.trace)
        self._take(trace, record, datetime.now(UTC))

    def _ended(self, trace: Trace, event: CallEvent) -> None:
        try:
            record = self._record_of(LineName(event.line), CallId(trace.call_id))
        except CallNotFound:  # it is being forgotten
            return
        self._take(trace, record, event.at)

    def _take(self, trace: Trace, record: CallRecord, now: datetime) -> None:
        if trace.take is not None:
            monotonic = asyncio.get_running_loop().time()
            noted = self._noted.take(trace.call_id)
            for span in call_spans(record, trace, now, monotonic, noted):
                trace.take(span)

    def _turn(self, trace: Trace, event: CallEvent) -> None:
        data = event.data
        start = datetime.fromisoformat(str(data["startedAt"]))
        took = (data.get("speechMs") or 0) + (data.get("waitMs") or 0) + (data.get("answerMs") or 0)
        bot = str(data.get("bot", ""))
        attributes: dict[str, AttributeValue] = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": bot,
            "gen_ai.conversation.id": trace.call_id,
            "gen_ai.agent.invocation.end_reason": (
                "interrupted" if data.get("interrupted") else "completed"
            ),
            "bridge.turn.number": data.get("turn") or 0,
            "bridge.turn.estimated": bool(data.get("estimated")),
        }
        named = {
            "speech": "speechMs",
            "wait": "waitMs",
            "answer": "answerMs",
            "overlap": "overlapMs",
        }
        attributes |= _milliseconds(
            "bridge.turn", {name: data.get(key) for name, key in named.items()}
        )
        attributes |= _milliseconds("bridge.turn.wait", data.get("parts") or {})
        attributes |= _milliseconds(
            "bridge.turn", {"filler": data.get("filler"), "tool": data.get("tool")}
        )
        self._add(
            trace,
            f"invoke_agent {bot}",
            str(data.get("legID", "")),
            start,
            start + timedelta(milliseconds=took),
            attributes,
            SpanKind.INTERNAL if bot == OWN_AGENT else SpanKind.CLIENT,
        )

    def _replied(self, trace: Trace, event: CallEvent) -> None:
        data = event.data
        steps = {name.removesuffix("Ms"): data[name] for name in data if name.endswith("Ms")}
        start = event.at - timedelta(milliseconds=steps.get("firstAudio") or 0)
        found = _milliseconds("bridge.agent", steps)
        leg_id = str(data.get("legID", ""))
        self._add(trace, "agent reply", leg_id, start, event.at, found, SpanKind.INTERNAL)

    @staticmethod
    def _add(  # noqa: PLR0913 - the parts of a span
        trace: Trace,
        name: str,
        leg_id: str,
        start: datetime,
        end: datetime,
        attributes: Mapping[str, AttributeValue],
        kind: SpanKind,
    ) -> None:
        if trace.take is None:
            return
        trace.take(
            Span(
                name=name,
                kind=kind,
                trace_id=trace.trace_id,
                span_id=trace.span_id(name, leg_id, start.isoformat()),
                parent_id=trace.leg_id(leg_id),
                start=start,
                end=end,
                attributes=attributes,
            )
        )


def _milliseconds(prefix: str, figures: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Return figures as attributes, without unknown ones."""
    return {
        f"{prefix}.{NAMES.get(name, name)}_ms": value
        for name, value in figures.items()
        if isinstance(value, int | float)
    }
