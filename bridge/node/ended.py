"""Keeps the records of ended calls for a while."""

from dataclasses import dataclass, field
from typing import Final, Protocol

from bridge.call.model import CallId, CallRecord, LineName
from bridge.node.capacity import ManagerLimits

CALL_BYTES: Final = 2048
LEG_BYTES: Final = 2048
"""Approximate memory of a record, and of each of its legs without its timeline."""


class Timelines(Protocol):
    """The quality of calls over time, kept as long as their records (`node.quality`)."""

    def octets(self, call_id: CallId) -> int:
        """Return the memory that a call's timelines take."""
        ...

    def forget(self, call_id: CallId) -> None:
        """Delete those of a call."""
        ...


@dataclass(frozen=True, slots=True)
class _Kept:
    record: CallRecord
    until: float
    octets: int


@dataclass(slots=True)
class _Line:
    calls: dict[CallId, _Kept] = field(default_factory=dict)
    """The oldest first."""
    octets: int = 0


class EndedCalls:
    """The records of ended calls by line; a line that exceeds its limits loses its oldest."""

    def __init__(self, limits: ManagerLimits, timelines: Timelines) -> None:
        self._limits = limits
        self._timelines = timelines
        self._lines: dict[LineName, _Line] = {}

    def keep(self, record: CallRecord, now: float) -> None:
        """Keep a call from now on."""
        call_id = record.facts.call_id
        octets = CALL_BYTES + LEG_BYTES * len(record.legs)
        octets += len(record.facts.details.metadata) + self._timelines.octets(call_id)
        line = self._lines.setdefault(record.facts.line, _Line())
        if before := line.calls.pop(call_id, None):
            line.octets -= before.octets
        line.calls[call_id] = _Kept(record, now + self._limits.kept_seconds, octets)
        line.octets += octets
        limits = self._limits
        while len(line.calls) > limits.ended_per_line or line.octets > limits.ended_octets_per_line:
            self._drop_oldest(line)

    def get(self, line: LineName, call_id: CallId) -> CallRecord | None:
        """Return a call of the line, while it is kept."""
        of_line = self._lines.get(line)
        kept = of_line.calls.get(call_id) if of_line else None
        return kept.record if kept else None

    def of(self, line: LineName) -> list[CallRecord]:
        """Return a line's calls in the order in which they ended."""
        of_line = self._lines.get(line)
        return [kept.record for kept in of_line.calls.values()] if of_line else []

    def forget(self, now: float) -> None:
        """Delete the calls whose time has expired."""
        for line in self._lines.values():
            while line.calls and next(iter(line.calls.values())).until <= now:
                self._drop_oldest(line)

    def _drop_oldest(self, line: _Line) -> None:
        call_id = next(iter(line.calls))
        line.octets -= line.calls.pop(call_id).octets
        self._timelines.forget(call_id)
