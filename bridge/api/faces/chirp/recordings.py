"""Chirp's recordings: of a call, and one by its id, each with a link to its file."""

from typing import Any

from aiohttp import web

from bridge.api.body import call_in_path
from bridge.api.faces.chirp.commands import is_test_key
from bridge.api.recording_files import LINK_SECONDS, link
from bridge.api.services import SERVICES
from bridge.call.model import CallId
from bridge.media.archive import Recording
from bridge.media.files import CONTENT_TYPES, File
from bridge.wire.call_id import chirp


async def of_call(request: web.Request) -> web.Response:
    """List a call's recordings, also of a call that ended long ago."""
    line = request.app[SERVICES].keys.line(request)
    call_id = call_in_path(request)
    found = await request.app[SERVICES].recordings.archive.of_call(line, CallId(call_id))
    if not found:
        request.app[SERVICES].manager.record(line, call_id)
    data = [await _shown(request, recording) for recording in found]
    return web.json_response({"data": data, "totalCount": len(data)})


async def recording(request: web.Request) -> web.Response:
    """Give one recording."""
    line = request.app[SERVICES].keys.line(request)
    found = await request.app[SERVICES].recordings.archive.find(
        line, request.match_info["recordingId"]
    )
    return web.json_response(await _shown(request, found))


ROUTES = (
    web.get("/v1/calls/{callId}/recordings", of_call),
    web.get("/v1/calls/recordings/{recordingId}", recording),
)


async def _shown(request: web.Request, found: Recording) -> dict[str, Any]:
    """Give the recording object; `kind` and `files` are our additions."""
    kept, rows = found.status == "completed", request.app[SERVICES].recordings.archive.files
    files = await rows.of(found.recording_id) if kept else []
    made = next((file for file in files if file.format == found.format), None)
    status = found.status
    if kept and made is None:
        # The sound is kept in any case: `files` has the WAV.
        waits = found.format in await rows.wanted(found.recording_id)
        status = "processing" if waits else "failed"
    return {
        "id": found.recording_id,
        "callId": chirp(found.call_id, test=is_test_key(request)),
        "status": status,
        "format": found.format,
        "kind": found.kind,
        "duration": round(found.seconds) if kept else None,
        "fileUrl": link(request, made, LINK_SECONDS) if made else None,
        "fileSize": made.size_bytes if made else None,
        "files": [_file(request, file) for file in files],
        "startedAt": found.started_at,
        "endedAt": found.ended_at,
        "createdAt": found.started_at,
    }


def _file(request: web.Request, file: File) -> dict[str, Any]:
    return {
        "format": file.format,
        "contentType": CONTENT_TYPES[file.format],
        "fileUrl": link(request, file, LINK_SECONDS),
        "fileSize": file.size_bytes,
    }
