"""WADial's recordings of a call, listed and given: our definition, since the vendor documents none."""

from typing import Any

from aiohttp import web

from bridge.api.body import call_in_path
from bridge.api.faces.wadial.calls import CALL, line_of
from bridge.api.faces.wadial.words import success
from bridge.api.recording_files import give
from bridge.api.services import SERVICES
from bridge.call.model import CallId
from bridge.errors import NotFound
from bridge.media.archive import Recording

PATH = CALL + "/recordings"


async def of_call(request: web.Request) -> web.Response:
    """List a call's recordings, also of a call that ended long ago."""
    line, call_id = line_of(request), call_in_path(request)
    found = await request.app[SERVICES].recordings.archive.of_call(line, CallId(call_id))
    if not found:
        request.app[SERVICES].manager.record(line, call_id)
    return success([_shown(recording) for recording in found])


async def download(request: web.Request) -> web.StreamResponse:
    """Give a recording's file."""
    line = line_of(request)
    found = await request.app[SERVICES].recordings.archive.find(
        line, request.match_info["recordingId"]
    )
    if found.call_id != call_in_path(request):
        raise NotFound("the call has no such recording")
    return await give(request, found)


ROUTES = (
    web.get(PATH, of_call),
    web.get(PATH + "/{recordingId}", download),
)


def _shown(recording: Recording) -> dict[str, Any]:
    """Give a recording, in the words of `call.recording.ready`."""
    return {
        "recordingId": recording.recording_id,
        "callId": recording.call_id,
        "kind": recording.kind,
        "status": recording.status,
        "contentType": "audio/wav",
        "durationMs": round(recording.seconds * 1000),
        "sizeBytes": recording.size_bytes,
        "createdAt": recording.started_at,
        "expiresAt": recording.expires_at,
    }
