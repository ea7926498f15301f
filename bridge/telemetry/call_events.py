"""Events of a call's span: overlaps, disclosures and problems."""

from collections.abc import Mapping, Sequence
from typing import Final

from bridge.telemetry.span import AttributeValue, SpanEvent
from bridge.wire.call_event import CallEvent, EventType

MAX_OF_TYPE: Final = 20
"""Maximum per type and call; later ones are dropped."""
MAX_CALLS: Final = 4096
"""Maximum of calls, since some end in another process; beyond it the oldest is dropped."""

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
"""The types of event that are kept, and the fields of each; no texts."""


class CallEvents:
    """The events so far of a node's traced calls."""

    def __init__(self) -> None:
        self._of: dict[str, list[SpanEvent]] = {}

    def note(self, call_id: str, event: CallEvent) -> None:
        """Keep an event if its type is in `NOTED`."""
        noted = self._of.setdefault(call_id, [])
        if sum(one.name == event.type for one in noted) < MAX_OF_TYPE:
            noted.append(SpanEvent(event.type, event.at, _attributes(event)))
        if len(self._of) > MAX_CALLS:
            del self._of[next(iter(self._of))]

    def take(self, call_id: str) -> Sequence[SpanEvent]:
        """Remove and return a call's events."""
        return self._of.pop(call_id, ())


def _attributes(event: CallEvent) -> Mapping[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    for key, name in NOTED[event.type].items():
        value = event.data.get(key)
        if isinstance(value, str | bool | int | float) and value != "":
            found[name] = value
    return found
