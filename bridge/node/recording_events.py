"""What is told and counted of recordings: when they begin and end, and where their files are."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from bridge.call.model import CallId, LineName
from bridge.call.notices import CallEvent
from bridge.errors import BridgeError
from bridge.media import uploader
from bridge.media.archive import Recording
from bridge.media.files import CONTENT_TYPES, WAV, File, FileLocation
from bridge.node.manager import Manager


class RecordingObserver(uploader.UploadObserver, Protocol):
    """Who counts."""

    def recording_ended(self, outcome: str) -> None:
        """Count a track."""
        ...


class RecordingEvents:
    """Tells of one node's recordings."""

    def __init__(
        self,
        manager: Manager,
        publish: Callable[[CallEvent], None],
        observer: RecordingObserver,
        media_key: Callable[[Recording], str],
    ) -> None:
        """Make it; `media_key` returns where a recording's file lies, as its line is told."""
        self._manager = manager
        self._publish = publish
        self._observer = observer
        self._media_key = media_key

    def tell(self, event: str, line: LineName, call: CallId, **data: object) -> None:
        """Tell what happened to a call's recording, with the call as it stands, if it is known."""
        try:
            record = self._manager.record(line, call)
        except BridgeError:
            record = None
        self._publish(CallEvent(event, line, call, datetime.now(UTC), record, data))

    def ended(self, recording: Recording, reason: str) -> None:
        """Tell that a track can be had, or why it failed."""
        failed = recording.status == "failed"
        data: dict[str, object] = {
            "recordingId": recording.recording_id,
            "kind": recording.kind,
            "format": recording.format,
            "contentType": CONTENT_TYPES[WAV],
            "durationMs": round(recording.seconds * 1000),
            "sizeBytes": recording.size_bytes,
            "startedAt": recording.started_at,
            "endedAt": recording.ended_at,
            "expiresAt": recording.expires_at,
            "mediaKey": "" if failed else self._media_key(recording),
        }
        if failed:
            data["reason"] = reason
        self._observer.recording_ended(recording.status)
        event = "recording.failed" if failed else "recording.ready"
        self.tell(event, recording.line, recording.call_id, **data)

    def moved(self, file: File, recording: Recording) -> None:
        """Tell where a file can be had from now on."""
        self.tell(
            "recording.stored" if file.place == FileLocation.STORE else "recording.copied",
            recording.line,
            recording.call_id,
            recordingId=file.recording_id,
            kind=recording.kind,
            format=file.format,
            askedFor=file.format == recording.format,
            contentType=CONTENT_TYPES[file.format],
            durationMs=round(recording.seconds * 1000),
            sizeBytes=file.size_bytes,
            startedAt=recording.started_at,
            endedAt=recording.ended_at,
            mediaKey=file.key,
        )
