"""Wavix's recordings, `/v1/recordings`: one for each call, both sides mixed.

https://docs.wavix.com/api-reference/call-recording
"""

import re
from typing import Annotated, Final, TypeAlias

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from bridge.api.faces.wavix.words import WAVIX, PageQuery, Pagination, Success, pagination
from bridge.api.media.recording_files import LINK_SECONDS, link, wav_of
from bridge.api.server.fields import Count, Json, Timestamp, field, wrong_field
from bridge.api.server.operation import BARE, JSON, Context
from bridge.api.server.services import RECORDS
from bridge.errors import NotFound
from bridge.stores.recording_search import Found, Search
from bridge.wire import call_id as forms

RECORDINGS_PATH: Final = "/v1/recordings"
RECORDING: Final = RECORDINGS_PATH + "/{recording}"
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER: Final = re.compile(r"[0-9]{1,16}")


def _read_day(value: Json, name: str) -> Json:
    if value and not _DAY.fullmatch(value):
        raise wrong_field(name, "expected a day as YYYY-MM-DD")
    return value


def _e164(text: Json, _name: str) -> Json:
    """Return a number with `+`, also where the query's `+` has become a space."""
    number = text.strip()
    return f"+{number}" if number.isdigit() else number


def _all_e164(values: Json, name: str) -> Json:
    return [_e164(value, name) for value in values]


Day: TypeAlias = Annotated[str, field("a day, YYYY-MM-DD", read=_read_day)]
Number: TypeAlias = Annotated[
    str, field("digits with the country code", read=_e164, schema={"examples": ["15550100002"]})
]


class RecordingQuery(
    PageQuery, rename={"from_": "from", "dids": "dids[]", "sip_trunks": "sip_trunks[]"}
):
    """Which recordings are wanted."""

    from_date: Day = ""
    to_date: Day = ""
    from_: Number = ""
    to: Number = ""
    call_uuid: str = ""
    dids: (
        Annotated[
            list[str],
            field("either party's number", spellings=("dids",), read=_all_e164, max_length=50),
        ]
        | None
    ) = None
    sip_trunks: (
        Annotated[list[str], field("there are none: nothing is found", spellings=("sip_trunks",))]
        | None
    ) = None

    @property
    def search(self) -> Search:
        """What is looked for."""
        return Search(
            from_date=self.from_date,
            to_date=self.to_date,
            from_=self.from_,
            to=self.to,
            call_id=forms.native(self.call_uuid) or self.call_uuid,
            numbers=self.dids or (),
        )


class WavixRecording(Struct, rename={"from_": "from"}):
    """A recording."""

    id: Count
    created_at: Timestamp
    duration: Count
    from_: str
    to: str
    call_uuid: str
    url: Annotated[str, Meta(description="the WAV, good for an hour, without a key")]


class WavixRecordings(Struct):
    """A page of recordings."""

    items: list[WavixRecording]
    pagination: Pagination


@WAVIX.get(RECORDINGS_PATH, envelope=BARE, errors=(404, 503))
async def list_recordings(context: Context, query: RecordingQuery) -> WavixRecordings:
    """List the recordings, one for each call, newest first."""
    if query.sip_trunks:
        return WavixRecordings([], pagination(query, total=0))
    found, total = await context[RECORDS].recordings.archive.search.page(
        context.line, query.search, limit=query.per_page, offset=query.offset
    )
    items = [await _shown(context, each) for each in found]
    return WavixRecordings(items, pagination(query, total=total))


@WAVIX.get(RECORDING, gives=WavixRecording, also={302: None}, errors=(404, 503))
async def recording(context: Context) -> web.StreamResponse:
    """Return a recording by its id; by its call's id, redirect to its file."""
    line, named = context.line, context.path("recording")
    search = context[RECORDS].recordings.archive.search
    if _NUMBER.fullmatch(named):
        shown = await _shown(context, await search.by_number(line, int(named)))
        return web.Response(body=msgspec.json.encode(shown), content_type=JSON)
    found = await search.of_call(line, forms.native(named) or named)
    location = await _link(context, found)
    return web.Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})


@WAVIX.delete(RECORDING, errors=(404, 503))
async def delete(context: Context) -> Success:
    """Delete a recording for good."""
    named = context.path("recording")
    if not _NUMBER.fullmatch(named):
        raise NotFound("recording not found")
    recordings = context[RECORDS].recordings
    found = await recordings.archive.search.by_number(context.line, int(named))
    await recordings.archive.delete(await recordings.archive.find(found.recording_id, context.line))
    recordings.uploader.wake()
    return Success()


async def _shown(context: Context, found: Found) -> WavixRecording:
    return WavixRecording(
        id=found.number,
        created_at=found.started_at,
        duration=round(found.seconds),
        from_=found.from_,
        to=found.to,
        call_uuid=forms.wavix(found.call_id),
        url=await _link(context, found),
    )


async def _link(context: Context, found: Found) -> str:
    """Return a URL of the recording's WAV."""
    file = await wav_of(context, found.recording_id, found.seconds)
    if file is None:
        raise NotFound("the recording's file no longer exists")
    return link(context.http, file, LINK_SECONDS)
