"""Chirp's recordings, each with a link to its file."""

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from bridge.api.faces.chirp.commands import FORMATS
from bridge.api.faces.chirp.words import CHIRP
from bridge.api.media.recording_files import LINK_SECONDS, link
from bridge.api.server.fields import Count
from bridge.api.server.listing import find_call
from bridge.api.server.operation import Context
from bridge.api.server.services import RECORDS
from bridge.call.model import CallId
from bridge.call.recording import Recording
from bridge.call.transcript import Transcript, TranscriptStatus
from bridge.stores.recording_files import FileLocation
from bridge.wire.call_id import chirp

Format: TypeAlias = Annotated[
    str, Meta(description="as it was requested", extra_json_schema={"enum": list(FORMATS)})
]


class ChirpRecordingFile(Struct, rename="camel"):
    """A file of a recording."""

    format: Format
    content_type: str
    file_url: Annotated[str, Meta(description="good for an hour, without a key")]
    file_size: Count


class ChirpRecording(Struct, rename="camel"):
    """A recording; `kind`, `files` and `transcription` are our additions."""

    id: str
    call_id: str
    status: Annotated[
        str, Meta(extra_json_schema={"enum": ["recording", "processing", "completed", "failed"]})
    ]
    format: Format
    kind: str
    duration: Count | None
    file_url: Annotated[str, Meta(description="good for an hour, without a key")] | None
    file_size: Count | None
    files: list[ChirpRecordingFile]
    transcription: (
        Annotated[str, Meta(description="what was said on it; null if it was not transcribed")]
        | None
    )
    started_at: str | None
    ended_at: str | None
    created_at: str | None


class ChirpRecordings(Struct, rename="camel"):
    """A call's recordings."""

    data: list[ChirpRecording]
    total_count: Count


@CHIRP.get("/v1/calls/{callId}/recordings", errors=(404, 502, 503))
async def of_call(context: Context) -> ChirpRecordings:
    """List a call's recordings, also of a call that ended long ago."""
    line, call_id = context.line, context.call_id
    found = await context[RECORDS].recordings.archive.of_call(line, CallId(call_id))
    if not found:
        await find_call(context)
    said = await context[RECORDS].transcripts.find(line, call_id)
    return ChirpRecordings([await _shown(context, one, said) for one in found], len(found))


@CHIRP.get("/v1/calls/recordings/{recordingId}", errors=(404, 503))
async def recording(context: Context) -> ChirpRecording:
    """Return one recording."""
    archive = context[RECORDS].recordings.archive
    found = await archive.find(context.path("recordingId"), context.line)
    said = await context[RECORDS].transcripts.find(context.line, found.call_id)
    return await _shown(context, found, said)


async def _shown(context: Context, found: Recording, said: Transcript | None) -> ChirpRecording:
    kept, rows = found.status == "completed", context[RECORDS].recordings.archive.files
    files = await rows.offered(found.recording_id, found.seconds) if kept else []
    made = next((file for file in files if file.format == found.format), None)
    status = found.status
    if kept and made is None:
        # The audio is kept in any case: `files` has the WAV.
        waits = await rows.is_at(FileLocation.WANTED, found.recording_id, found.format)
        status = "processing" if waits else "failed"
    return ChirpRecording(
        id=found.recording_id,
        call_id=chirp(found.call_id, test=context.is_test_key),
        status=status,
        format=found.format,
        kind=found.kind,
        duration=round(found.seconds) if kept else None,
        file_url=link(context.http, made, LINK_SECONDS) if made else None,
        file_size=made.size_bytes if made else None,
        files=[
            ChirpRecordingFile(
                format=file.format,
                content_type=file.content_type,
                file_url=link(context.http, file, LINK_SECONDS),
                file_size=file.size_bytes,
            )
            for file in files
        ],
        transcription=_text(said, found.kind),
        started_at=found.started_at,
        ended_at=found.ended_at,
        created_at=found.started_at,
    )


def _text(said: Transcript | None, kind: str) -> str | None:
    """Return what was said on a track."""
    if said is None or said.status is not TranscriptStatus.COMPLETED:
        return None
    return "\n".join(one.text for one in said.phrases if kind in ("mixed", one.track))
