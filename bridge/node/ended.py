"""Remembers ended calls for a while, for requests that still name them; `call_history` has everything else."""

from dataclasses import dataclass, field
from typing import Final

from bridge.call.model import CallId, CallRecord, LineName
from bridge.settings.model import Limits

CALL_BYTES: Final = 2048
LEG_BYTES: Final = 2048
"""Approximate memory of a record, and of each of its legs."""

FORGOTTEN_AT_ONCE: Final = 500


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

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lines: dict[LineName, _Line] = {}

    def keep(self, record: CallRecord, now: float) -> None:
        """Keep a call from now on."""
        call_id = record.facts.call_id
        octets = CALL_BYTES + LEG_BYTES * len(record.legs)
        octets += len(record.facts.details.metadata)
        line = self._lines.setdefault(record.facts.line, _Line())
        if before := line.calls.pop(call_id, None):
            line.octets -= before.octets
        line.calls[call_id] = _Kept(record, now + self._limits.kept_seconds, octets)
        line.octets += octets
        max_octets = self._limits.ended_mb_per_line * 1e6
        while len(line.calls) > self._limits.ended_per_line or line.octets > max_octets:
            line.octets -= line.calls.pop(next(iter(line.calls))).octets

    def get(self, line: LineName, call_id: CallId) -> CallRecord | None:
        """Return a call of the line, while it is kept."""
        of_line = self._lines.get(line)
        kept = of_line.calls.get(call_id) if of_line else None
        return kept.record if kept else None

    def drop(self, line: LineName, call_id: CallId) -> None:
        """Delete a call, if it is kept."""
        of_line = self._lines.get(line)
        if of_line is not None and (kept := of_line.calls.pop(call_id, None)):
            of_line.octets -= kept.octets

    def forget(self, now: float) -> None:
        """Delete calls whose time has expired, at most `FORGOTTEN_AT_ONCE`."""
        left = FORGOTTEN_AT_ONCE
        for line in self._lines.values():
            while line.calls and (first := next(iter(line.calls.values()))).until <= now:
                if not left:
                    return
                left -= 1
                line.octets -= first.octets
                del line.calls[first.record.facts.call_id]
