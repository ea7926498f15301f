"""Downloads of recordings, with a key or a signed link."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from aiohttp import web
from msgspec import Struct

from bridge.api.operation import NOBODY, Context, Group
from bridge.api.services import SERVICES
from bridge.errors import NotFound
from bridge.media.archive import Recording
from bridge.media.files import CONTENT_TYPES, WAV, File, FileLocation

FILES: Final = "/files/recordings"
"""The path of signed links."""
LINK_SECONDS: Final = 3600
"""How long the links in webhooks and answers are valid."""
STUCK_SECONDS: Final = 60.0
"""A client that reads nothing for so long is disconnected."""


GROUP: Final = Group(name="Recording")
PARTS: Final = {206: None, 416: None}


class FileFormat(Struct):
    """Which of a recording's files to return."""

    format: Literal["wav", "ogg", "mp4", "webm"] = "wav"


@GROUP.get("/recordings/{recordingId}", content="audio/wav", also=PARTS, errors=(404, 502, 503))
async def download(context: Context, query: FileFormat) -> web.StreamResponse:
    """Return a recording's file, as WAV or in another format that it was converted to."""
    archive = context.services.recordings.archive
    recording = await archive.find(context.line, context.path("recordingId"))
    return await send_file(context.http, recording, query.format)


@GROUP.get(
    FILES + "/{recordingId}",
    auth=NOBODY,
    content="audio/wav",
    also={**PARTS, 302: None},
    errors=(404, 502, 503),
)
async def linked(context: Context) -> web.StreamResponse:
    """Return a recording's file to whoever has a signed link to it.

    The link comes from the faces, query and all; it needs no key and expires. Where
    `recording.s3.redirect` is set it redirects to the store.
    """
    context.services.tickets.check_link(context.http)
    recordings = context.services.recordings
    identity, _, wanted = context.path("recordingId").partition(".")
    recording = await recordings.archive.find_any(identity)
    file = await _find(context.http, recording, wanted or WAV)
    if file.place == FileLocation.STORE and recordings.rules.redirect:
        left = int(context.http.query["expires"]) - datetime.now(UTC).timestamp()
        location = await recordings.uploader.link(file, left)
        return web.Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})
    return await _answer(context.http, file)


OPERATIONS: Final = (download, linked)


def link(request: web.Request, file: File, seconds: int) -> str:
    """Return a URL that opens a file without a key for some seconds."""
    path = path_of(file.recording_id, file.format)
    return request.app[SERVICES].site.base(request) + request.app[SERVICES].tickets.link(
        path, seconds
    )


def path_of(recording_id: str, form: str) -> str:
    """Return the path of a file's signed link."""
    return f"{FILES}/{recording_id}.{form}"


async def send_file(
    request: web.Request, recording: Recording, wanted: str = WAV
) -> web.StreamResponse:
    """Answer with a recording's file, or the requested range of it.

    Raises:
        NotFound: there is no file of this format, or not yet.
        StoreFailed: the store that has the file failed.
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
        raise NotFound("the recording's file does not exist any more")
    return await _stream_from_store(request, file, headers)


async def _stream_from_store(
    request: web.Request, file: File, headers: dict[str, str]
) -> web.StreamResponse:
    """Stream a file that is in the store."""
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
    first = await anext(pieces)  # an error before the first byte is still answered as such
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
