"""Recording: the native routes, which ZuckZapGo and WaGo share."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from bridge.api.server.fields import CallBody, CallId, Count, field
from bridge.api.server.listing import find_call
from bridge.api.server.operation import BARE, CALL, Context, Done, Group
from bridge.api.server.services import RECORDS
from bridge.audio.file.formats import WAV
from bridge.call.model import CallRecord
from bridge.call.recording import Recording as Stored
from bridge.call.recording import RecordingRequest
from bridge.errors import InvalidRequest
from bridge.stores.recording_files import File, FileLocation

STORED_SECONDS: Final = 10.0
"""How long `stop` waits for a recording to reach the store."""

GROUP: Final = Group(name="Recording")


class RecordToFile(Struct, rename={"call_id": "CallID", "path": "Path"}):
    """The call, and the path of its recording."""

    call_id: CallId
    path: Annotated[str, field("files/calls/<id>.wav by default", spellings=("path",))] = ""


class RecordingFile(Struct, rename="camel"):
    """A file of a recording."""

    format: str
    content_type: str
    size_bytes: Count
    media_key: str
    url: str


class RecordingGap(Struct, rename="camel"):
    """A stretch in which nobody was heard, because the call passed to another process."""

    at_ms: Annotated[Count, field("since the recording began")]
    duration_ms: Count


class Recording(Struct, rename="camel"):
    """A recording of a call."""

    recording_id: str
    call_id: str
    kind: Annotated[str, Meta(extra_json_schema={"enum": ["inbound", "outbound", "mixed"]})]
    status: str
    media_key: Annotated[str, field("where the file is; empty when it failed")]
    content_type: str
    duration_ms: Count
    size_bytes: Count
    started_at: str | None
    ended_at: str | None
    expires_at: str | None
    url: str
    files: list[RecordingFile]
    gaps: Annotated[list[RecordingGap], field("of upgrades during the call")]
    source: Annotated[str, field("`bridge`, or `meta` for Meta's own")] = "bridge"


class RecordedFile(Struct, rename="camel"):
    """A recording into a file of the line's media folder."""

    path: str
    recording_id: str
    ok: Literal[True] = True


class WagoRecording(Struct):
    """The same for WaGo's clients, which read it with and without the envelope."""

    data: RecordedFile
    call_id: str = msgspec.field(name="callID")
    path: str
    details: str = "recording"
    code: Literal[200] = 200
    success: Literal[True] = True


class RecordingStarted(Struct):
    """The recordings that have begun."""

    recordings: list[Recording]
    ok: Literal[True] = True


class RecordingStopped(Struct, rename="camel"):
    """The recordings that have ended."""

    media_key: Annotated[str, field("the inbound track; empty when it could not be stored")]
    status: str
    recordings: list[Recording]
    ok: Literal[True] = True


class RecordingPaused(Struct):
    """Whether it is paused now."""

    paused: bool
    ok: Literal[True] = True


class Recordings(Struct):
    """A call's recordings."""

    recordings: list[Recording]


@GROUP.post("/call/record", envelope=BARE, is_vendors=True, errors=(*CALL, 503))
async def record(context: Context, body: RecordToFile) -> WagoRecording:
    """Record what the far party says into a file of the line's media folder.

    `AudioFile` plays it by the same path. A number is added to a path that exists. For a call that
    is being recorded already, the answer has its path; another `Path` is refused (409).
    """
    runner, recordings = context.live_call(body.call_id), context[RECORDS].recordings
    tracks = await recordings.start(runner, RecordingRequest(("inbound",), body.path))
    track = _inbound(tracks)
    path = recordings.paths.media_key(track)
    return WagoRecording(RecordedFile(path, track.recording_id), runner.facts.call_id, path)


@GROUP.post("/call/record/start", errors=(*CALL, 503))
async def start(context: Context, body: CallBody) -> RecordingStarted:
    """Record a call: what each side says, and both mixed."""
    tracks = await context[RECORDS].recordings.start(context.live_call(body.call_id))
    return RecordingStarted([recording_of(context, track) for track in tracks])


@GROUP.post("/call/record/stop", errors=(*CALL, 503))
async def stop(context: Context, body: CallBody) -> RecordingStopped:
    """End a recording.

    Where recordings are uploaded to a store, the answer waits for this one. A file uploaded later
    keeps its key.
    """
    recordings = context[RECORDS].recordings
    tracks = await recordings.stop(context.line, body.call_id)
    first = _inbound(tracks)
    kept = first.status == "completed" and await recordings.uploader.upload_now(
        first, seconds=STORED_SECONDS
    )
    return RecordingStopped(
        recordings.paths.media_key(first) if kept else "",
        first.status,
        [recording_of(context, track) for track in tracks],
    )


@GROUP.post("/call/record/pause", errors=CALL)
async def pause(context: Context, body: CallBody) -> RecordingPaused:
    """Record silence for a while."""
    context[RECORDS].recordings.pause(context.live_call(body.call_id), paused=True)
    return RecordingPaused(paused=True)


@GROUP.post("/call/record/resume", errors=CALL)
async def resume(context: Context, body: CallBody) -> RecordingPaused:
    """Record audio again."""
    context[RECORDS].recordings.pause(context.live_call(body.call_id), paused=False)
    return RecordingPaused(paused=False)


@GROUP.get("/call/{callId}/recordings", errors=(404, 502, 503))
async def of_call(context: Context) -> Recordings:
    """List a call's recordings."""
    return Recordings(await recordings_of(context, (await find_call(context)).record))


@GROUP.delete("/recordings/{recordingId}", errors=(400, 404, 503))
async def delete(context: Context) -> Done:
    """Delete a recording for good."""
    recordings = context[RECORDS].recordings
    recording = await recordings.archive.find(context.path("recordingId"), context.line)
    if recording.status == "recording":
        raise InvalidRequest("the recording is still running; stop it first")
    await recordings.archive.delete(recording)
    recordings.uploader.wake()
    return Done()


def _inbound(tracks: list[Stored]) -> Stored:
    """Return the inbound track; of a call recorded otherwise, another."""
    return next((track for track in tracks if track.kind == "inbound"), tracks[0])


def url_of(track: Stored) -> str:
    """Return the path of a recording's file, in the format that it was recorded in."""
    url = f"/recordings/{track.recording_id}"
    return url if track.file_format == WAV else f"{url}?format={track.file_format}"


async def recordings_of(context: Context, record: CallRecord) -> list[Recording]:
    """Return the recordings of a call, each with its files."""
    stored = context[RECORDS].recordings.archive
    return [
        recording_of(context, track, await stored.files.of(track.recording_id))
        for track in await stored.of_call(record.facts.line, record.facts.call_id)
    ]


def recording_of(context: Context, track: Stored, files: Sequence[File] = ()) -> Recording:
    """Return a recording as the API shows it."""
    key = context[RECORDS].recordings.paths.media_key(track)
    return Recording(
        recording_id=track.recording_id,
        call_id=track.call_id,
        kind=track.kind,
        status=track.status,
        media_key="" if track.status == "failed" else key,
        content_type=track.content_type,
        duration_ms=track.duration_ms,
        size_bytes=track.size_bytes,
        started_at=track.started_at,
        ended_at=track.ended_at,
        expires_at=track.expires_at,
        url=url_of(track),
        files=[
            RecordingFile(
                format=file.format,
                content_type=file.content_type,
                size_bytes=file.size_bytes,
                media_key=key if file.place == FileLocation.KEPT else file.key,
                url=f"/recordings/{file.recording_id}?format={file.format}",
            )
            for file in files
        ],
        gaps=[RecordingGap(*gap) for gap in track.gaps],
        source=track.source or "bridge",
    )
