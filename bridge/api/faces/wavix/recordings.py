"""Wavix's recordings, `/v1/recordings`: one for each call, both sides mixed.

https://docs.wavix.com/api-reference/call-recording
"""

import re
from typing import Any, Final

from aiohttp import web

from bridge.api.faces.wavix.pages import bounds, paged
from bridge.api.faces.wavix.words import success
from bridge.api.recording_files import LINK_SECONDS, link
from bridge.api.services import SERVICES
from bridge.errors import InvalidRequest, NotFound
from bridge.media.files import WAV, File
from bridge.media.recording_search import Found, Search
from bridge.wire import call_id as forms

RECORDINGS_PATH: Final = "/v1/recordings"
RECORDING: Final = RECORDINGS_PATH + "/{recording}"
MAX_NUMBERS: Final = 50
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER: Final = re.compile(r"[0-9]{1,16}")


async def list_recordings(request: web.Request) -> web.Response:
    """List the line's recordings, newest first."""
    line = request.app[SERVICES].keys.line(request)
    page, size = bounds(request)
    search = _search(request)
    if search is None:
        return web.json_response(paged([], page, size, total=0))
    found, total = await request.app[SERVICES].recordings.archive.search.page(
        line, search, limit=size, offset=(page - 1) * size
    )
    items = [await _shown(request, each) for each in found]
    return web.json_response(paged(items, page, size, total=total))


async def recording(request: web.Request) -> web.Response:
    """Return a recording by its id; by its call's id, lead to its file."""
    line, named = request.app[SERVICES].keys.line(request), request.match_info["recording"]
    search = request.app[SERVICES].recordings.archive.search
    if _NUMBER.fullmatch(named):
        return web.json_response(await _shown(request, await search.by_number(line, int(named))))
    found = await search.of_call(line, forms.native(named) or named)
    location = link(request, await _wav(request, found), LINK_SECONDS)
    return web.Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})


async def delete(request: web.Request) -> web.Response:
    """Delete a recording for good."""
    line, named = request.app[SERVICES].keys.line(request), request.match_info["recording"]
    if not _NUMBER.fullmatch(named):
        raise NotFound("recording not found")
    recordings = request.app[SERVICES].recordings
    found = await recordings.archive.search.by_number(line, int(named))
    await recordings.archive.delete(await recordings.archive.find(line, found.recording_id))
    recordings.uploader.wake()
    return success()


ROUTES: Final = (
    web.get(RECORDINGS_PATH, list_recordings),
    web.get(RECORDING, recording),
    web.delete(RECORDING, delete),
)


def _search(request: web.Request) -> Search | None:
    """Read what is looked for; None for what this bridge can have nothing of.

    Raises:
        InvalidRequest: naming the parameter that is wrong.
    """
    query = request.query
    for name in ("from_date", "to_date"):
        if query.get(name) and not _DAY.fullmatch(query[name]):
            raise InvalidRequest(f"{name}: expected a day as YYYY-MM-DD", field=name)
    call = query.get("call_uuid", "")
    if query.getall("sip_trunks[]", ()) or query.getall("sip_trunks", ()):
        return None  # no call comes over a trunk that has a number of its own
    numbers = [*query.getall("dids[]", ()), *query.getall("dids", ())]
    if len(numbers) > MAX_NUMBERS:
        raise InvalidRequest(f"dids: at most {MAX_NUMBERS} are taken", field="dids")
    return Search(
        from_date=query.get("from_date", ""),
        to_date=query.get("to_date", ""),
        from_=_e164(query.get("from", "")),
        to=_e164(query.get("to", "")),
        call_id=forms.native(call) or call,
        numbers=[_e164(number) for number in numbers],
    )


def _e164(text: str) -> str:
    """Return a number with `+`, also where the query's `+` has become a space."""
    number = text.strip()
    return f"+{number}" if number.isdigit() else number


async def _shown(request: web.Request, found: Found) -> dict[str, Any]:
    return {
        "id": found.number,
        "created_at": found.started_at,
        "duration": round(found.seconds),
        "from": found.from_,
        "to": found.to,
        "call_uuid": forms.wavix(found.call_id),
        "url": link(request, await _wav(request, found), LINK_SECONDS),
    }


async def _wav(request: web.Request, found: Found) -> File:
    files = await request.app[SERVICES].recordings.archive.files.of(found.recording_id)
    file = next((file for file in files if file.format == WAV), None)
    if file is None:
        raise NotFound("the recording's file is no more")
    return file
