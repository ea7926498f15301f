"""What happens during a call beside its turns, as events of its span: overlaps, disclosures and problems."""

from collections.abc import Mapping, Sequence
from typing import Final

from bridge.telemetry.span import AttributeValue, SpanEvent
from bridge.wire.call_event import CallEvent, EventType

MAX_OF_TYPE: Final = 20
"""Events of one type in a call's span: the first."""
MAX_CALLS: Final = 4096
"""Calls of which events are remembered, since some end in another process; then the oldest is forgotten."""

_LEG: Final = {"legID": "bridge.leg.id"}
_OVERLAP: Final = _LEG | {
    "bot": "gen_ai.agent.name",
    "kind": "bridge.overlap.kind",
    "speechMs": "bridge.overlap.speech_ms",
    "overlapMs": "bridge.overlap.overlap_ms",
    "interrupted": "bridge.overlap.interrupted",
}
_PROBLEM: Final = _LEG | {
    "code": "bridge.problem.code",
    "hop": "bridge.problem.hop",
    "severity": "bridge.problem.severity",
}
NOTED: Final[Mapping[str, Mapping[str, str]]] = {
    EventType.OVERLAP_STARTED: _OVERLAP,
    EventType.OVERLAP_ENDED: _OVERLAP,
    EventType.DISCLOSURE_SPOKEN: {
        "durationMs": "bridge.disclosure.duration_ms",
        "interrupted": "bridge.disclosure.interrupted",
        "language": "bridge.disclosure.language",
    },
    EventType.DISCLOSURE_FAILED: {"reason": "bridge.disclosure.reason"},
    EventType.CALL_PROBLEM: _PROBLEM,
    EventType.CALL_PROBLEM_CLEARED: _PROBLEM,
}
"""The types of event that are kept, and what is kept of each: none of its texts."""


class CallEvents:
    """What has happened so far during the calls of a node that are traced."""

    def __init__(self) -> None:
        self._of: dict[str, list[SpanEvent]] = {}

    def note(self, call_id: str, event: CallEvent) -> None:
        """Keep what a span says of an event of `NOTED`."""
        noted = self._of.setdefault(call_id, [])
        if sum(one.name == event.type for one in noted) < MAX_OF_TYPE:
            noted.append(SpanEvent(event.type, event.at, _attributes(event)))
        if len(self._of) > MAX_CALLS:
            del self._of[next(iter(self._of))]

    def take(self, call_id: str) -> Sequence[SpanEvent]:
        """Return a call's events, and forget them."""
        return self._of.pop(call_id, ())


def _attributes(event: CallEvent) -> Mapping[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    for key, name in NOTED[event.type].items():
        value = event.data.get(key)
        if isinstance(value, str | bool | int | float) and value != "":
            found[name] = value
    return found
