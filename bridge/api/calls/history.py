"""The calls that a line has and had: `GET /calls`, one call with everything known of it, and erasing one."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from bridge.api.calls import render, spreadsheet
from bridge.api.calls.diagnosis import DiagnosedHop, DiagnosedProblem, of_report
from bridge.api.calls.query import MAX_PAGE, CallsQuery, cursor_of
from bridge.api.calls.render import camel
from bridge.api.media.recording import Recording, recordings_of
from bridge.api.media.voicemails import Voicemail, voicemail_of
from bridge.api.server.fields import Timestamp, field
from bridge.api.server.listing import find_call, timelines_of
from bridge.api.server.operation import CALL, Context, Done, Group
from bridge.api.server.services import CLUSTER, CONTROL, RECORDS
from bridge.call.diagnosis.diagnosis import Verdict
from bridge.call.disclosure_wording import Wording
from bridge.call.model import CallId, Direction, EndReason, LegFigures, LineName, Party, State
from bridge.call.record.ended_call import DirectionQuality, LegSummary
from bridge.call.record.search import CallSearch
from bridge.call.transcript import TranscriptStatus
from bridge.call.view import CallView, EndedBy
from bridge.errors import InvalidState
from bridge.node.manager import Manager
from bridge.stores.calls import Cursor
from bridge.wire.iso8601 import iso8601

GROUP: Final = Group(name="Native")
ENTRIES_PATH: Final = "/node/call-entries"
"""Where siblings list their live calls."""
CALLS: Final = "/calls"
CALL_PATH: Final = "/calls/{callId}"
WRITTEN: Final[Mapping[type, Callable[[Any], Any]]] = {
    datetime: iso8601,
    float: partial(round, ndigits=3),
    tuple: list,
}
"""How values of a call are shown that are not shown as they are."""


class HistoryCall(Struct, rename=camel):
    """A call, live or ended."""

    call_id: str
    line: str
    state: State
    direction: Direction
    from_: str
    to: str
    from_channel: str
    to_channel: str
    identities: list[str]
    started_at: Timestamp
    answered_at: Timestamp | None
    ended_at: Timestamp | None
    ring_seconds: float
    talk_seconds: float
    ended_by: EndedBy | None
    reason: EndReason | None
    mos: Annotated[float, field("the worst mean of all legs and directions")] | None
    verdict: Verdict
    tag: str
    sent_to_voicemail: bool
    disclosed_at: (
        Annotated[Timestamp, field("when somebody had first heard the whole AI disclosure")] | None
    )


class CallItem(HistoryCall, rename=camel):
    """A call in a list."""

    problems: Annotated[list[str], field("codes, each once")]


class CallPage(Struct, rename="camel"):
    """A page of calls, newest first."""

    calls: list[CallItem]
    next_cursor: Annotated[str, field("null on the last page")] | None


class HistoryDirection(Struct, rename=camel):
    """One direction of a leg, over its whole time."""

    packets: int
    lost: int
    loss_ratio: float | None
    jitter_ms: float | None
    mos: Annotated[float, field("mean")] | None
    worst_mos: float | None


class HistoryLeg(Struct, rename=camel):
    """A leg of a call, and its quality."""

    leg_id: str
    kind: str
    party: Party
    identity: str
    joined_at: Annotated[float, field("seconds of the call")]
    left_at: Annotated[float, field("seconds of the call")] | None
    setup_ms: Annotated[
        dict[str, float], field("when each step of its set-up was done, from `joinedAt` on")
    ]
    round_trip_ms: float | None
    received: Annotated[HistoryDirection, field("what was heard from it")]
    sent: HistoryDirection
    held_ms: Annotated[
        int,
        field("for which speech of a bot was held because the far party would not have heard it"),
    ]
    held_dropped_ms: Annotated[
        int, field("of such speech that was dropped: beyond the limit, or because the call ended")
    ]


class DisclosureWording(Struct, rename=camel):
    """What an AI disclosure said: an asset or a text."""

    asset: str | None
    text_hash: Annotated[str, field("SHA-256 of the text, in hex")] | None
    language: str


class CallDetail(HistoryCall, rename=camel):
    """Everything known of a call."""

    summary: str
    hops: list[DiagnosedHop]
    problems: list[DiagnosedProblem]
    metadata: dict[str, Any] | None
    answered_by: Annotated[str, field("where machine detection was asked for")] | None
    disclosure: (
        Annotated[
            DisclosureWording,
            field("of `disclosedAt`; null also where a node was lost during the call"),
        ]
        | None
    )
    legs: list[HistoryLeg]
    recordings: list[Recording]
    voicemail: Annotated[Voicemail, field("the message that its caller left")] | None
    transcript: TranscriptStatus | None
    timeline: list[render.LegTimeline]


@GROUP.get(CALLS, other_content=spreadsheet.CONTENT_TYPE)
async def list_calls(context: Context, query: CallsQuery) -> CallPage | web.StreamResponse:
    """List the line's calls, live and ended, newest first.

    The cursor stays good while calls come and end; a page may have fewer calls than `limit`. In CSV, numbers
    are without `+`, all cells in quotation marks, and an apostrophe stands before what a spreadsheet would take for a formula.
    """
    return await calls_of(context, query, context.line)


async def calls_of(
    context: Context, query: CallsQuery, line: LineName | None
) -> CallPage | web.StreamResponse:
    """Return the calls of a line, or of all, that a query asks for, as a page or in CSV."""
    search, after = query.search(line), query.after
    if query.format == "csv":
        return await _write_csv(context, search, after, query.limit)
    found, following = await find_calls(context, search, after, query.limit or 50)
    cursor = None if following is None else cursor_of(following)
    return CallPage([_item(one) for one in found], cursor)


@GROUP.get(CALL_PATH, errors=(404, 502))
async def call(context: Context) -> CallDetail:
    """Return everything known of a call, live or ended, its timeline included."""
    report = await find_call(context)
    record, diagnosis = report.record, of_report(report)
    figures = {leg.leg_id: leg for leg in record.legs}
    said = await context[RECORDS].transcripts.find(record.facts.line, record.facts.call_id)
    metadata = record.facts.details.metadata
    return CallDetail(
        **fields_of(report.view),
        summary=diagnosis.summary,
        hops=diagnosis.hops,
        problems=diagnosis.problems,
        metadata=msgspec.json.decode(metadata) if metadata else None,
        answered_by=record.answered_by or None,
        disclosure=_wording(record.disclosure),
        legs=[_leg(leg, figures[leg.leg_id]) for leg in report.legs],
        recordings=await recordings_of(context, record),
        voicemail=await _voicemail(context, record.facts.call_id),
        transcript=said.status if said else None,
        timeline=[render.leg_timeline(leg) for leg in await timelines_of(context, record)],
    )


@GROUP.delete(CALL_PATH, errors=(*CALL, 503))
async def erase(context: Context) -> Done:
    """Erase what is stored of a call that has ended.

    Its record, its events, webhooks of it that have not been delivered, its voicemail, and its recordings with
    their copies in the store are deleted.
    """
    line = context.line
    report = await find_call(context)
    call_id = report.record.facts.call_id
    if report.record.reason is None:
        raise InvalidState("the call has not ended; hang up first")
    archive = context[RECORDS].recordings.archive
    # First: what Meta has recorded may be on its way here.
    await context[RECORDS].meta_media.erase(line, call_id)
    tracks = await archive.of_call(line, call_id)
    if any(track.status == "recording" for track in tracks):
        raise InvalidState("a recording of the call is still being finished; try again")
    for track in tracks:
        await archive.delete(track)
    context[RECORDS].recordings.uploader.wake()
    await context[RECORDS].voicemails.store.delete(line, call_id)
    await context[CONTROL].manager.forget(line, call_id)
    await context[RECORDS].history.erase(line, call_id)
    return Done()


async def _voicemail(context: Context, call_id: CallId) -> Voicemail | None:
    store = context[RECORDS].voicemails.store
    found = await store.of_call(context.line, call_id)
    return await voicemail_of(context, found) if found else None


async def live_views(manager: Manager, line: LineName | None) -> list[CallView]:
    """Return the live calls of this node, of a line or of all, without test calls."""
    return await manager.describe(line, lambda runner: manager.report_now(runner.record()).view)


async def find_calls(
    context: Context, search: CallSearch, after: Cursor | None, limit: int
) -> tuple[list[CallView], Cursor | None]:
    """Return a page of calls of all nodes, live and ended, newest first, and where the next one begins."""
    # The live ones first: one that ends meanwhile is then in the history.
    live = [call for call in await _live(context, search.line) if search.matches(call)]
    ended, following = await context[RECORDS].history.search(search, after=after, limit=limit)
    calls = {call.call_id: call for call in live if after is None or call.key < after}
    if following is not None:
        calls = {call_id: call for call_id, call in calls.items() if call.key >= following}
    calls |= {call.call_id: call for call in ended}
    page = sorted(calls.values(), key=lambda call: call.key, reverse=True)
    if len(page) > limit:
        return page[:limit], Cursor(*page[limit - 1].key)
    return page, following


async def _live(context: Context, line: LineName | None) -> list[CallView]:
    live = await live_views(context[CONTROL].manager, line)
    if (siblings := context[CLUSTER].siblings) is not None:
        wanted = {} if line is None else {"line": line}
        answers = await siblings.request_all(ENTRIES_PATH, **wanted)
        for answer in answers.values():
            if answer is not None:
                live += msgspec.json.decode(answer, type=list[CallView])
    return live


async def _write_csv(
    context: Context, search: CallSearch, after: Cursor | None, limit: int | None
) -> web.StreamResponse:
    headers = {"Content-Disposition": 'attachment; filename="calls.csv"'}
    response = web.StreamResponse(headers=headers)
    response.content_type, response.charset = spreadsheet.CONTENT_TYPE, "utf-8"
    await response.prepare(context.http)
    columns = msgspec.structs.fields(CallItem)
    await response.write(spreadsheet.encode([[one.encode_name for one in columns]]))
    async for found in _pages(context, search, after, limit):
        await response.write(spreadsheet.encode(map(msgspec.structs.astuple, map(_item, found))))
    await response.write_eof()
    return response


async def _pages(
    context: Context, search: CallSearch, after: Cursor | None, limit: int | None
) -> AsyncIterator[list[CallView]]:
    left = limit
    while left is None or left > 0:
        wanted = MAX_PAGE if left is None else left
        found, after = await find_calls(context, search, after, wanted)
        yield found
        left = None if left is None else left - len(found)
        if after is None:
            return


def _item(call: CallView) -> CallItem:
    return CallItem(**fields_of(call), problems=list(call.problems))


def fields_of(call: CallView) -> dict[str, Any]:
    """Return the fields of `HistoryCall`, which are the view's of the same names."""
    fields = {}
    for name in HistoryCall.__struct_fields__:
        value = getattr(call, name)
        write = WRITTEN.get(type(value))
        fields[name] = write(value) if write else value
    return fields | {"mos": _rounded(call.mos, 2)}


def _wording(said: Wording | None) -> DisclosureWording | None:
    if said is None:
        return None
    return DisclosureWording(said.asset or None, said.text_hash or None, said.language)


def _leg(leg: LegSummary, figures: LegFigures) -> HistoryLeg:
    setup = figures.statistics.setup
    return HistoryLeg(
        leg_id=leg.leg_id,
        kind=leg.kind.value,
        party=leg.party,
        identity=figures.identity,
        joined_at=round(figures.joined, 3),
        left_at=_rounded(figures.left, 3),
        setup_ms={
            step: round(at * 1000, 1)
            for step, at in (asdict(setup) if setup else {}).items()
            if at is not None
        },
        round_trip_ms=_milliseconds(leg.round_trip),
        received=_direction(leg.received),
        sent=_direction(leg.sent),
        held_ms=round(figures.statistics.received.held_seconds * 1000),
        held_dropped_ms=round(figures.statistics.received.held_dropped_seconds * 1000),
    )


def _direction(part: DirectionQuality) -> HistoryDirection:
    return HistoryDirection(
        packets=part.packets,
        lost=part.lost,
        loss_ratio=_rounded(part.loss, 4),
        jitter_ms=_milliseconds(part.jitter),
        mos=_rounded(part.mos, 2),
        worst_mos=_rounded(part.worst_mos, 2),
    )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
