"""Publishes and counts recordings that are ready, failed, or have moved."""

from collections.abc import Callable
from typing import Any

from bridge.media.archive import Recording
from bridge.media.files import CONTENT_TYPES, WAV, File, FileLocation
from bridge.metrics.recording import RecordingMetrics
from bridge.node.manager import Manager
from bridge.wire.call_event import EventType


class RecordingEvents:
    """The events of one node's recordings."""

    def __init__(
        self,
        manager: Manager,
        metrics: RecordingMetrics,
        media_key: Callable[[Recording], str],
    ) -> None:
        """Make it; `media_key` returns where a recording's file lies, as its line sees it."""
        self._manager = manager
        self._metrics = metrics
        self._media_key = media_key

    def ended(self, recording: Recording, reason: str) -> None:
        """Publish that a track is ready, or why it failed."""
        failed = recording.status == "failed"
        data: dict[str, Any] = {
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
        self._metrics.recording_ended(recording.status)
        kind = EventType.RECORDING_FAILED if failed else EventType.RECORDING_READY
        self._manager.publish(kind, recording.line, recording.call_id, data)

    def moved(self, file: File, recording: Recording) -> None:
        """Publish where a file can be had from now on."""
        stored = file.place == FileLocation.STORE
        data = {
            "recordingId": file.recording_id,
            "kind": recording.kind,
            "format": file.format,
            "askedFor": file.format == recording.format,
            "contentType": CONTENT_TYPES[file.format],
            "durationMs": round(recording.seconds * 1000),
            "sizeBytes": file.size_bytes,
            "startedAt": recording.started_at,
            "endedAt": recording.ended_at,
            "mediaKey": file.key,
        }
        kind = EventType.RECORDING_STORED if stored else EventType.RECORDING_COPIED
        self._manager.publish(kind, recording.line, recording.call_id, data)
