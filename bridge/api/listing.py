"""The calls that a line has and lately had, for faces whose vendors list both."""

from bridge.call.model import CallRecord, LineName
from bridge.node.manager import Manager
from bridge.node.recording import Recordings


async def recorded_calls(
    manager: Manager, recordings: Recordings, line: LineName
) -> list[tuple[CallRecord, bool]]:
    """Give a line's live calls on all nodes, oldest first, and whether each is being recorded."""
    live = await manager.list(line)
    ids = [record.facts.call_id for record in live]
    recorded = await recordings.archive.being_recorded(line, ids) if ids else ()
    return [(record, record.facts.call_id in recorded) for record in live]


async def known_calls(manager: Manager, line: LineName) -> list[CallRecord]:
    """Give a line's calls on all nodes, live ones and ended ones, oldest first."""
    live = await manager.list(line)
    # A call that ends between the two is in both: what is asked for last is right.
    found = [*live, *await manager.list(line, ended=True)]
    calls = {record.facts.call_id: record for record in found}
    return sorted(calls.values(), key=lambda record: record.facts.started_at)
