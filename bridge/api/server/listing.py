"""A line's calls on all nodes, live and ended."""

from bridge.api.server.operation import Context
from bridge.api.server.services import CONTROL, RECORDS
from bridge.call.model import CallId, CallRecord
from bridge.call.record.ended_call import CallReport
from bridge.call.record.quality import LegQuality
from bridge.errors import DatabaseLost


async def recorded_calls(context: Context) -> list[tuple[CallRecord, bool]]:
    """Return the line's live calls, oldest first, and whether each is being recorded.

    While the database cannot be reached only this node's recordings are known.
    """
    line, recordings = context.line, context[RECORDS].recordings
    live = await context[CONTROL].manager.list(line)
    ids = [record.facts.call_id for record in live]
    try:
        recorded = await recordings.archive.being_recorded(line, ids) if ids else set()
    except DatabaseLost:
        recorded = {call_id for call_id in ids if recordings.active(call_id)}
    return [(record, record.facts.call_id in recorded) for record in live]


async def known_calls(
    context: Context, *, limit: int, offset: int = 0
) -> tuple[list[CallRecord], int]:
    """Return a part of the line's calls, live and ended, newest first, and their number."""
    live = await context[CONTROL].manager.list(context.line)
    return await context[RECORDS].history.records(context.line, live, offset=offset, limit=limit)


async def find_call(context: Context) -> CallReport:
    """Return the call in the path, live on this node or ended.

    Raises:
        CallNotFound: its line never had such a call, or it ended too long ago.
        Forbidden: the ticket is for another call.
    """
    call_id = context.call_id
    line = context.access.line_for(call_id)
    if context[CONTROL].manager.running(CallId(call_id)) is None:
        report = await context[RECORDS].history.find(line, call_id)
        if report is not None:
            return report
    return context[CONTROL].manager.report_now(context[CONTROL].manager.record(line, call_id))


async def timelines_of(context: Context, record: CallRecord) -> tuple[LegQuality, ...]:
    """Return the timelines of a call's legs, from the history once it has ended."""
    call_id = record.facts.call_id
    if record.reason is not None:
        return await context[RECORDS].history.timelines(call_id)
    return context[CONTROL].manager.quality.legs(call_id)
