"""The files of recordings, given to those with a key and to those with a signed link."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from aiohttp import web

from bridge.api.services import SERVICES
from bridge.errors import InvalidRequest, NotFound
from bridge.media.archive import Recording
from bridge.media.files import CONTENT_TYPES, WAV, File, FileLocation

FILES: Final = "/files/recordings"
"""Where signed links to recordings lead."""
LINK_SECONDS: Final = 3600
"""How long the links are good that customers are given."""
STUCK_SECONDS: Final = 60.0
"""A reader who takes nothing for so long is cut off."""


async def download(request: web.Request) -> web.StreamResponse:
    """Give a recording's file."""
    line = request.app[SERVICES].keys.line(request)
    archive = request.app[SERVICES].recordings.archive
    recording = await archive.find(line, request.match_info["recordingId"])
    wanted = request.query.get("format", WAV)
    if wanted not in CONTENT_TYPES:
        expected = ", ".join(CONTENT_TYPES)
        raise InvalidRequest(f"format: expected one of {expected}", field="format")
    return await give(request, recording, wanted)


async def linked(request: web.Request) -> web.StreamResponse:
    """Give a recording's file to whoever has a signed link to it."""
    request.app[SERVICES].tickets.check_link(request)
    recordings = request.app[SERVICES].recordings
    identity, _, wanted = request.match_info["recordingId"].partition(".")
    recording = await recordings.archive.find_any(identity)
    file = await _find(request, recording, wanted or WAV)
    if file.place == FileLocation.STORE and recordings.rules.redirect:
        left = int(request.query["expires"]) - datetime.now(UTC).timestamp()
        away = await recordings.uploader.link(file, left)
        return web.Response(status=302, headers={"Location": away, "Cache-Control": "no-store"})
    return await _answer(request, file)


ROUTES = (
    web.get("/recordings/{recordingId}", download),
    web.get(FILES + "/{recordingId}", linked),
)


def link(request: web.Request, file: File, seconds: int) -> str:
    """Make a URL that anyone may get a file by for a while."""
    path = path_of(file.recording_id, file.format)
    return request.app[SERVICES].site.base(request) + request.app[SERVICES].tickets.link(
        path, seconds
    )


def path_of(recording_id: str, form: str) -> str:
    """Return where a recording's file is had by a signed link."""
    return f"{FILES}/{recording_id}.{form}"


async def give(request: web.Request, recording: Recording, wanted: str = WAV) -> web.StreamResponse:
    """Answer with a recording's file, or the part of it that is asked for.

    Raises:
        NotFound: it goes on, or could not be kept, or there is none of this format.
        StoreFailed: the file lies in the store, which does not give it.
    """
    return await _answer(request, await _find(request, recording, wanted))


async def _find(request: web.Request, recording: Recording, wanted: str) -> File:
    for file in await request.app[SERVICES].recordings.archive.files.of(recording.recording_id):
        if file.format == wanted:
            return file
    raise NotFound(f"the recording has no {wanted} file")


async def _answer(request: web.Request, file: File) -> web.StreamResponse:
    headers = {"Content-Type": CONTENT_TYPES[file.format], "Cache-Control": "private"}
    path = request.app[SERVICES].recordings.archive.folder / file.key
    if _is_file(path):
        return web.FileResponse(path, headers=headers)
    if file.place == FileLocation.KEPT:
        raise NotFound("the recording's file is no more")
    return await _pass_on(request, file, headers)


async def _pass_on(request: web.Request, file: File, headers: dict[str, str]) -> web.StreamResponse:
    """Answer with what lies in the store."""
    size = file.size_bytes
    try:
        start, end, _ = request.http_range.indices(size)
    except ValueError:
        start = end = size
    if start >= end:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})
    part = "Range" in request.headers
    response = web.StreamResponse(status=206 if part else 200, headers=headers)
    response.content_length = end - start
    response.headers["Accept-Ranges"] = "bytes"
    if part:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    pieces = request.app[SERVICES].recordings.uploader.read(file, start, end)
    first = await anext(pieces)  # what can go wrong at once still has an answer of its own
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    await _write(response, first)
    async for piece in pieces:
        await _write(response, piece)
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, piece: bytes) -> None:
    async with asyncio.timeout(STUCK_SECONDS):
        await response.write(piece)


def _is_file(path: Path) -> bool:
    return path.is_file()
