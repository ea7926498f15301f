"""The console: the calls of all lines as they happen, one call in detail, and hanging up."""

import asyncio
import dataclasses
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from bridge.api.calls import diagnosis, render, spreadsheet
from bridge.api.calls.history import CallPage, HistoryCall, calls_of, fields_of
from bridge.api.calls.query import CallsQuery
from bridge.api.calls.render import camel
from bridge.api.events.events import STREAM
from bridge.api.server import sse
from bridge.api.server.fields import field
from bridge.api.server.hangup import HangupQuery, hangup_request
from bridge.api.server.listing import timelines_of
from bridge.api.server.operation import CALL, CONSOLE, Context, Done, Group
from bridge.api.server.services import CONTROL, EVENTS, NODE, RECORDS
from bridge.call.model import CallId, CallRecord
from bridge.call.record.ended_call import CallReport
from bridge.call.setup_timings import SetupTimings
from bridge.errors import CallNotFound
from bridge.stores.events import Numbered
from bridge.wire import metadata

log = logging.getLogger(__name__)

GROUP: Final = Group(name="Console", auth=CONSOLE)
ONE_CALL: Final = "/console/api/calls/{callId}"
REFRESH_SECONDS: Final = 1.0
OVERLAP_SECONDS: Final = 2.0
"""Of the timeline that each message repeats: legs are not sampled at the same moment."""
MAX_EVENTS: Final = 2000
"""Of one call that are shown; the first ones."""
SHOWN: Final = frozenset(
    {
        "answerMs",
        "asset",
        "attempts",
        "bot",
        "code",
        "durationMs",
        "estimated",
        "filler",
        "fix",
        "format",
        "hop",
        "identity",
        "interrupted",
        "kind",
        "language",
        "legID",
        "muted",
        "overlapMs",
        "party",
        "playbackId",
        "reason",
        "recordingId",
        "seconds",
        "severity",
        "speechMs",
        "startedAt",
        "status",
        "step",
        "streamId",
        "streamType",
        "succeeded",
        "summary",
        "textHash",
        "tool",
        "turn",
        "waitMs",
    }
)
"""Fields of an event's data that an operator sees: no digits, no transcripts, no links."""


class ConsoleCall(HistoryCall, rename=camel):
    """Who calls whom, when, and how it stands."""

    seconds: float
    muted: bool
    metadata: msgspec.Raw


class ConsoleEvent(Struct):
    """One thing that happened to the call."""

    number: int
    at: Annotated[float, Meta(description="seconds of the call")]
    type: str
    data: dict[str, Any]


class ConsoleDetails(Struct):
    """Everything about one call."""

    call: ConsoleCall
    diagnosis: diagnosis.CallDiagnosis
    quality: render.CallQuality
    setup: Annotated[
        dict[str, dict[str, float]],
        Meta(description="of each leg, when each step of its set-up was done; seconds of the leg"),
    ]
    events: list[ConsoleEvent]


class Part(Struct):
    """Which part of a call's course to return."""

    since: Annotated[float, field("cuts the timeline; seconds", ge=0, le=1e9)] = 0.0
    after: Annotated[int, field("cuts the events; a number", ge=0, le=2**53)] = 0


@GROUP.get("/console/api/live", content=sse.CONTENT_TYPE, gives=STREAM, errors=(404, 503))
async def live(context: Context) -> web.StreamResponse:
    """Stream the live calls, nodes and lines: all of them first, then once a second what has changed."""
    table = context[NODE].live_table

    async def pieces() -> AsyncGenerator[bytes, None]:
        async with aclosing(table.follow()) as found:
            async for message in found:
                yield sse.QUIET if message is None else sse.event(message)

    with table.watching():
        return await sse.send(context, pieces())


@GROUP.get(ONE_CALL, errors=(404, 502))
async def call(context: Context, query: Part) -> ConsoleDetails:
    """Return one call of any line, live or ended: its diagnosis, figures, timeline and events."""
    return await _details(context, query)


@GROUP.get(ONE_CALL + "/live", content=sse.CONTENT_TYPE, gives=STREAM, errors=(404, 502, 503))
async def live_call(context: Context, query: Part) -> web.StreamResponse:
    """Stream one call until its end, once a second: as it stands, with what is new of its timeline and events.

    Each message is what `GET /console/api/calls/{callId}` returns, from `since` and `after` on.
    """
    table = context[NODE].live_table
    details = await _details(context, query)  # 404 before the stream begins

    async def pieces() -> AsyncGenerator[bytes, None]:
        found, part = details, query
        while True:
            yield sse.event(msgspec.json.encode(found))
            if found.call.reason is not None or table.closed:
                return
            part = _rest(found, part)
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                found = await _details(context, part)
            except CallNotFound:
                return

    with table.watching():
        return await sse.send(context, pieces())


@GROUP.get("/console/api/calls", other_content=spreadsheet.CONTENT_TYPE)
async def list_calls(context: Context, query: CallsQuery) -> CallPage | web.StreamResponse:
    """List the calls of all lines, live and ended, newest first; as `GET /calls` does those of one."""
    return await calls_of(context, query, None)


@GROUP.post(ONE_CALL + "/hangup", errors=(*CALL, 503))
async def hangup(context: Context, query: HangupQuery) -> Done:
    """End a call of any line."""
    report = await _find(context)
    facts = report.record.facts
    context[CONTROL].manager.request(facts.line, facts.call_id, hangup_request(query.after))
    log.info("console.hangup", extra={"call": facts.call_id, "key": context.access.admin})
    return Done()


async def _find(context: Context) -> CallReport:
    """Return the call in the path, of any line, live on this node or ended.

    Raises:
        CallNotFound: there is no such call.
    """
    manager = context[CONTROL].manager
    runner = manager.running(CallId(context.call_id))
    if runner is not None:
        return manager.report_now(runner.record())
    report = await context[RECORDS].history.find(None, context.call_id)
    if report is None:
        raise CallNotFound("there is no such call")
    return report


async def _details(context: Context, part: Part) -> ConsoleDetails:
    report = await _find(context)
    record = report.record
    timelines = await timelines_of(context, record)
    return ConsoleDetails(
        call=ConsoleCall(
            **fields_of(report.view),
            seconds=round(record.seconds, 1),
            muted=record.muted,
            metadata=metadata.raw(record.facts.details.metadata),
        ),
        diagnosis=diagnosis.of_report(report),
        quality=render.quality(record, timelines, since=part.since),
        setup={leg.leg_id: setup_steps(leg.statistics.setup) for leg in record.legs},
        events=_events(record, await _read_events(context, record, part.after)),
    )


def setup_steps(timings: SetupTimings | None) -> dict[str, float]:
    """Return the steps that were done, in seconds of the leg."""
    known = {} if timings is None else dataclasses.asdict(timings)
    return {step: round(at, 3) for step, at in known.items() if at is not None}


async def _read_events(context: Context, record: CallRecord, after: int) -> list[Numbered]:
    found: list[Numbered] = []
    facts = record.facts
    while len(found) < MAX_EVENTS:
        page = await context[EVENTS].log.read(after, facts.line, facts.call_id)
        if not page:
            break
        found += page
        after = page[-1][0]
    return found[:MAX_EVENTS]


def _rest(sent: ConsoleDetails, part: Part) -> Part:
    """Return the part of the call that follows what has been sent; the last rows of the timeline come again."""
    newest = max((leg.at[-1] for leg in sent.quality.timeline if leg.at), default=0.0)
    since = max(part.since, newest - OVERLAP_SECONDS)
    numbers = [one.number for one in sent.events]
    return Part(since, numbers[-1] if numbers else part.after)


def _events(record: CallRecord, found: Iterable[Numbered]) -> list[ConsoleEvent]:
    began = record.facts.started_at
    return [
        ConsoleEvent(
            number,
            round((event.at - began).total_seconds(), 1),
            event.type,
            {name: value for name, value in event.data.items() if name in SHOWN},
        )
        for number, event in found
    ]
