"""WADial's recordings of a call; the vendor documents none, these routes are ours."""

from aiohttp import web
from msgspec import Struct

from bridge.api.faces.wadial.calls import CALL, line_of
from bridge.api.faces.wadial.words import WADIAL
from bridge.api.media.recording_files import PARTS, send_file
from bridge.api.server.fields import Count
from bridge.api.server.listing import find_call
from bridge.api.server.operation import Context
from bridge.api.server.services import RECORDS
from bridge.call.model import CallId
from bridge.call.recording import Recording
from bridge.errors import NotFound

PATH = CALL + "/recordings"


class WadialRecording(Struct, rename="camel"):
    """A recording, in the words of `call.recording.ready`."""

    recording_id: str
    call_id: str
    kind: str
    status: str
    content_type: str
    duration_ms: Count
    size_bytes: Count
    created_at: str | None
    expires_at: str | None


@WADIAL.get(PATH, errors=(404, 502, 503))
async def of_call(context: Context) -> list[WadialRecording]:
    """List a call's recordings, also of a call that ended long ago."""
    line, call_id = line_of(context), context.call_id
    found = await context[RECORDS].recordings.archive.of_call(line, CallId(call_id))
    if not found:
        await find_call(context)
    return [_shown(recording) for recording in found]


@WADIAL.get(PATH + "/{recordingId}", content="audio/wav", also=PARTS, errors=(404, 502, 503))
async def download(context: Context) -> web.StreamResponse:
    """Return a recording's file."""
    archive = context[RECORDS].recordings.archive
    found = await archive.find(context.path("recordingId"), line_of(context))
    if found.call_id != context.call_id:
        raise NotFound("the call has no such recording")
    return await send_file(context.http, found, found.file_format)


def _shown(recording: Recording) -> WadialRecording:
    return WadialRecording(
        recording_id=recording.recording_id,
        call_id=recording.call_id,
        kind=recording.kind,
        status=recording.status,
        content_type=recording.content_type,
        duration_ms=recording.duration_ms,
        size_bytes=recording.size_bytes,
        created_at=recording.started_at,
        expires_at=recording.expires_at,
    )
