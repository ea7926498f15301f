"""Recording, the native verbs, which ZuckZapGo's and WaGo's clients share."""

from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from bridge.api import render
from bridge.api.body import call_in_path, read_body
from bridge.api.services import SERVICES
from bridge.errors import InvalidRequest
from bridge.media.archive import Recording
from bridge.media.files import CONTENT_TYPES, File, FileLocation

STORED_SECONDS: Final = 10.0
"""How long a recording that was stopped may take to the store."""


async def record(request: web.Request) -> web.Response:
    """Record what the far party says into a file of the media folder (WaGo)."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    call_id = body.call_id("CallID")
    native = request.app[SERVICES].manager.live(line, call_id).facts.call_id
    path = body.optional_text("Path", "path") or ""
    recordings = request.app[SERVICES].recordings
    tracks = await recordings.start(line, call_id, kinds=("inbound",), path=path)
    track = _inbound(tracks)
    lies = recordings.paths.media_key(track)
    where = {"details": "recording", "callID": native, "path": lies}
    return render.success({"ok": True, "path": lies, "recordingId": track.recording_id}, **where)


async def start(request: web.Request) -> web.Response:
    """Record a call: what each side says, and both mixed."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    tracks = await request.app[SERVICES].recordings.start(line, body.call_id())
    return render.success(
        {"ok": True, "recordings": [_recording(request, track) for track in tracks]}
    )


async def stop(request: web.Request) -> web.Response:
    """End a recording; `mediaKey` is where the inbound track lies, empty when it is not there.

    With a store that is waited for; a file that comes there later keeps its key.
    """
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    recordings = request.app[SERVICES].recordings
    tracks = await recordings.stop(line, body.call_id())
    first = _inbound(tracks)
    kept = first.status == "completed" and await recordings.uploader.upload_now(
        first.recording_id, seconds=STORED_SECONDS
    )
    return render.success(
        {
            "ok": True,
            "mediaKey": request.app[SERVICES].recordings.paths.media_key(first) if kept else "",
            "status": first.status,
            "recordings": [_recording(request, track) for track in tracks],
        }
    )


async def pause(request: web.Request) -> web.Response:
    """Write silence for a while."""
    return await _pause(request, paused=True)


async def resume(request: web.Request) -> web.Response:
    """Write what is heard again."""
    return await _pause(request, paused=False)


async def of_call(request: web.Request) -> web.Response:
    """List a call's recordings."""
    line = request.app[SERVICES].keys.line(request)
    found = await request.app[SERVICES].recordings.archive.of_call(
        line, request.app[SERVICES].manager.record(line, call_in_path(request)).facts.call_id
    )
    files = request.app[SERVICES].recordings.archive.files
    shown = [_recording(request, track, await files.of(track.recording_id)) for track in found]
    return render.success({"recordings": shown})


async def delete(request: web.Request) -> web.Response:
    """Delete a recording for good."""
    recording = await _find(request)
    if recording.status == "recording":
        raise InvalidRequest("the recording goes on; stop it first")
    await request.app[SERVICES].recordings.archive.delete(recording)
    request.app[SERVICES].recordings.uploader.wake()
    return render.success({"ok": True})


ROUTES = (
    web.post("/call/record", record),
    web.post("/call/record/start", start),
    web.post("/call/record/stop", stop),
    web.post("/call/record/pause", pause),
    web.post("/call/record/resume", resume),
    web.get("/call/{callId}/recordings", of_call),
    web.delete("/recordings/{recordingId}", delete),
)


def _inbound(tracks: list[Recording]) -> Recording:
    """The track that is shown where only one is; of a call recorded otherwise, another."""
    return next((track for track in tracks if track.kind == "inbound"), tracks[0])


async def _pause(request: web.Request, *, paused: bool) -> web.Response:
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    request.app[SERVICES].recordings.pause(line, body.call_id(), paused=paused)
    return render.success({"ok": True, "paused": paused})


async def _find(request: web.Request) -> Recording:
    line = request.app[SERVICES].keys.line(request)
    return await request.app[SERVICES].recordings.archive.find(
        line, request.match_info["recordingId"]
    )


def _recording(
    request: web.Request, track: Recording, files: Sequence[File] = ()
) -> dict[str, Any]:
    lies = request.app[SERVICES].recordings.paths.media_key(track)
    return {
        "recordingId": track.recording_id,
        "callId": track.call_id,
        "kind": track.kind,
        "status": track.status,
        "mediaKey": "" if track.status == "failed" else lies,
        "contentType": "audio/wav",
        "durationMs": round(track.seconds * 1000),
        "sizeBytes": track.size_bytes,
        "startedAt": track.started_at,
        "endedAt": track.ended_at,
        "expiresAt": track.expires_at,
        "url": f"/recordings/{track.recording_id}",
        "files": [
            _file(file, lies if file.place == FileLocation.KEPT else file.key) for file in files
        ],
    }


def _file(file: File, lies: str) -> dict[str, Any]:
    return {
        "format": file.format,
        "contentType": CONTENT_TYPES[file.format],
        "sizeBytes": file.size_bytes,
        "mediaKey": lies,
        "url": f"/recordings/{file.recording_id}?format={file.format}",
    }
