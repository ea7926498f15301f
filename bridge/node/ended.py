"""What is left of the calls that have ended, for as long as they are to be known."""

from bridge.call.model import CallId, CallRecord, LineName

KEPT_CALLS = 20_000
"""So many ended calls are remembered at most, however long they should be."""


class EndedCalls:
    """The records of ended calls, the oldest first."""

    def __init__(self, kept_seconds: float) -> None:
        self._kept_seconds = kept_seconds
        self._records: dict[CallId, tuple[CallRecord, float]] = {}

    def keep(self, record: CallRecord, now: float) -> None:
        """Remember a call from now on."""
        self._records[record.facts.call_id] = (record, now + self._kept_seconds)

    def get(self, call_id: CallId) -> CallRecord | None:
        """Give a call, while it is remembered."""
        kept = self._records.get(call_id)
        return kept[0] if kept else None

    def of(self, line: LineName) -> list[CallRecord]:
        """Give a line's calls, the last to end last."""
        return [record for record, _ in self._records.values() if record.facts.line == line]

    def forget(self, now: float) -> list[CallId]:
        """Forget the calls whose time is up, or that are too many; returns which."""
        forgotten: list[CallId] = []
        for call_id, (_, until) in self._records.items():
            if until > now and len(self._records) - len(forgotten) <= KEPT_CALLS:
                break
            forgotten.append(call_id)
        for call_id in forgotten:
            del self._records[call_id]
        return forgotten
