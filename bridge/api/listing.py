"""A line's live and recently ended calls on all nodes."""

from bridge.call.model import CallRecord, LineName
from bridge.node.manager import Manager
from bridge.node.recording import Recordings


async def recorded_calls(
    manager: Manager, recordings: Recordings, line: LineName
) -> list[tuple[CallRecord, bool]]:
    """Return a line's live calls, oldest first, and whether each is being recorded."""
    live = await manager.list(line)
    ids = [record.facts.call_id for record in live]
    recorded = await recordings.archive.being_recorded(line, ids) if ids else ()
    return [(record, record.facts.call_id in recorded) for record in live]


async def known_calls(manager: Manager, line: LineName) -> list[CallRecord]:
    """Return a line's calls, live and ended, oldest first."""
    live = await manager.list(line)
    # A call that ends between the two is in both: what is asked for last is right.
    found = [*live, *await manager.list(line, ended=True)]
    calls = {record.facts.call_id: record for record in found}
    return sorted(calls.values(), key=lambda record: record.facts.started_at)
