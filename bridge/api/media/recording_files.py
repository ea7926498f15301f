"""Downloads of recordings, with a key or a signed link."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import aiohttp
from aiohttp import hdrs, web
from msgspec import Struct

from bridge.api.server.operation import NOBODY, Context, Group
from bridge.api.server.services import ACCESS, RECORDS, SITE
from bridge.audio.file.formats import WAV, FileFormat
from bridge.call.recording import Recording
from bridge.errors import FileUnavailable, NotFound
from bridge.media.machine_files import node_path
from bridge.stores.recording_files import File, FileLocation

FILES: Final = "/files/recordings"
"""The path of signed links."""
LINK_SECONDS: Final = 3600
"""How long the links in webhooks and answers are valid."""
STUCK_SECONDS: Final = 60.0
"""A client that reads nothing for so long is disconnected."""
ASKED_FOR_A_PART: Final = (
    hdrs.RANGE,
    hdrs.IF_RANGE,
    hdrs.IF_MATCH,
    hdrs.IF_NONE_MATCH,
    hdrs.IF_MODIFIED_SINCE,
    hdrs.IF_UNMODIFIED_SINCE,
)
SAID_OF_A_PART: Final = (
    hdrs.CONTENT_RANGE,
    hdrs.ACCEPT_RANGES,
    hdrs.ETAG,
    hdrs.LAST_MODIFIED,
)

GROUP: Final = Group(name="Recording")
PARTS: Final = {206: None, 416: None}


class FileQuery(Struct):
    """Which of a recording's files to return."""

    format: FileFormat = "wav"


@GROUP.get("/recordings/{recordingId}", content="audio/wav", also=PARTS, errors=(404, 502, 503))
async def download(context: Context, query: FileQuery) -> web.StreamResponse:
    """Return a recording's file, as WAV or in another format that it was converted to.

    Where the packets of passthrough calls are recorded (`recording.passthrough`), the WAV is made when it is first requested.
    """
    archive = context[RECORDS].recordings.archive
    recording = await archive.find(context.path("recordingId"), context.line)
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
    context[ACCESS].tickets.check_link(context.http)
    recordings = context[RECORDS].recordings
    identity, _, wanted = context.path("recordingId").partition(".")
    recording = await recordings.archive.find(identity)
    file = await _find(context.http, recording, wanted or WAV)
    if file.place == FileLocation.STORE and recordings.rules.settings.s3.redirect:
        left = int(context.http.query["expires"]) - datetime.now(UTC).timestamp()
        location = await recordings.uploader.store.link(file.key, left)
        return web.Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})
    return await _answer(context.http, file)


def link(request: web.Request, file: File, seconds: int) -> str:
    """Return a URL that opens a file without a key for some seconds."""
    path = path_of(file.recording_id, file.format)
    return request.app[SITE].base(request) + request.app[ACCESS].tickets.link(path, seconds)


def path_of(recording_id: str, file_format: str) -> str:
    """Return the path of a file's signed link."""
    return f"{FILES}/{recording_id}.{file_format}"


async def wav_of(context: Context, recording_id: str, seconds: float) -> File | None:
    """Return the WAV of a recording that has ended, also one that will be made on demand; None if it has no file."""
    files = await context[RECORDS].recordings.archive.files.offered(recording_id, seconds)
    return next((file for file in files if file.format == WAV), None)


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
    recordings = request.app[RECORDS].recordings
    if found := await recordings.uploader.copies.on_demand(recording, wanted):
        return found
    if recording.status == "recording" and not recordings.archive.elsewhere.is_reachable(
        recording.machine
    ):
        raise FileUnavailable(
            "the machine that recorded this call is gone; try again when it is back"
        )
    raise NotFound(f"the recording has no {wanted} file")


async def _answer(request: web.Request, file: File) -> web.StreamResponse:
    headers = {"Content-Type": file.content_type, "Cache-Control": "private"}
    recordings = request.app[RECORDS].recordings
    if recordings.archive.is_here(file.machine):
        path = recordings.archive.folder / file.key
        if path.is_file():
            return web.FileResponse(path, headers=headers)
    elif file.place != FileLocation.STORE:
        with suppress(NotFound):  # it may have been stored a moment ago
            return await _pass_on(request, file, headers)
    if file.place == FileLocation.KEPT:
        raise NotFound("the recording's file does not exist any more")
    return await _stream_from_store(request, file, headers)


async def of_machine(request: web.Request) -> web.StreamResponse:
    """Return a recording's file for another machine, if it is on this one."""
    recordings, wanted = request.app[RECORDS].recordings, request.match_info["format"]
    archive = recordings.archive
    recording = await archive.find(request.match_info["recordingId"])
    file = await recordings.uploader.copies.on_demand(recording, wanted)
    if file is None or not archive.is_here(file.machine):
        raise NotFound("this machine has no such file")
    path = archive.folder / file.key
    if not path.is_file():
        raise NotFound("the file does not exist any more")
    return web.FileResponse(path)


async def unlink(request: web.Request) -> web.Response:
    """Delete the files of this machine that another one has deleted."""
    await request.app[RECORDS].recordings.archive.unlink_deleted()
    return web.Response()


async def _pass_on(request: web.Request, file: File, headers: dict[str, str]) -> web.StreamResponse:
    """Pass on a file that is on another machine."""
    upstream = await request.app[RECORDS].recordings.archive.elsewhere.open(
        file.machine,
        node_path(file.recording_id, file.format),
        method=request.method,
        headers=_chosen(request.headers, ASKED_FOR_A_PART),
    )
    async with upstream:
        headers = headers | _chosen(upstream.headers, SAID_OF_A_PART)
        if upstream.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise web.HTTPRequestRangeNotSatisfiable(headers=headers)
        response = web.StreamResponse(status=upstream.status, headers=headers)
        response.content_length = upstream.content_length
        await response.prepare(request)
        if request.method == hdrs.METH_HEAD:
            return response
        try:
            async for piece in upstream.content.iter_any():
                await _write(request, response, piece)
        except (aiohttp.ClientError, OSError):
            # The client must not take a truncated body for a complete one.
            if request.transport is not None:
                request.transport.abort()
            return response
        await response.write_eof()
        return response


def _chosen(headers: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    return {name: headers[name] for name in names if name in headers}


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
    pieces = request.app[RECORDS].recordings.uploader.store.read(file.key, start, end)
    first = await anext(pieces)  # an error before the first byte is still answered as such
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    await _write(request, response, first)
    async for piece in pieces:
        await _write(request, response, piece)
    await response.write_eof()
    return response


async def _write(request: web.Request, response: web.StreamResponse, piece: bytes) -> None:
    """Write a piece; a client that does not read it is disconnected, which raises `ConnectionResetError`."""
    try:
        async with asyncio.timeout(STUCK_SECONDS):
            await response.write(piece)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the client does not read") from None
