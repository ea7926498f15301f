"""A line's calls on all nodes, live and ended."""

from bridge.api.server.operation import Context
from bridge.api.server.services import Services
from bridge.call.model import CallId, CallRecord, LineName
from bridge.call.record.ended_call import CallReport
from bridge.call.record.quality import LegQuality
from bridge.errors import DatabaseLost
from bridge.node.manager import Manager
from bridge.node.recording.recordings import Recordings


async def recorded_calls(
    manager: Manager, recordings: Recordings, line: LineName
) -> list[tuple[CallRecord, bool]]:
    """Return a line's live calls, oldest first, and whether each is being recorded.

    While the database cannot be reached only this node's recordings are known.
    """
    live = await manager.list(line)
    ids = [record.facts.call_id for record in live]
    try:
        recorded = await recordings.archive.being_recorded(line, ids) if ids else set()
    except DatabaseLost:
        recorded = {call_id for call_id in ids if recordings.active(call_id)}
    return [(record, record.facts.call_id in recorded) for record in live]


async def known_calls(
    services: Services, line: LineName, *, limit: int, offset: int = 0
) -> tuple[list[CallRecord], int]:
    """Return a part of a line's calls, live and ended, newest first, and their number."""
    live = await services.manager.list(line)
    return await services.history.records(line, live, offset=offset, limit=limit)


async def find_call(context: Context) -> CallReport:
    """Return the call in the path, live on this node or ended.

    Raises:
        CallNotFound: its line never had such a call, or it ended too long ago.
        Forbidden: the ticket is for another call.
    """
    services, call_id = context.services, context.call_id
    line = context.access.line_for(call_id)
    if services.manager.running(CallId(call_id)) is None:
        report = await services.history.find(line, call_id)
        if report is not None:
            return report
    return services.manager.report_now(services.manager.record(line, call_id))


async def timelines_of(services: Services, record: CallRecord) -> tuple[LegQuality, ...]:
    """Return the timelines of a call's legs, from the history once it has ended."""
    call_id = record.facts.call_id
    if record.reason is not None:
        return await services.history.timelines(call_id)
    return services.manager.quality.legs(call_id)
