"""Publishes and counts recordings that are ready, failed, or have moved."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from bridge.call.recording import Recording
from bridge.metrics.recording import RecordingMetrics
from bridge.node.manager import Manager
from bridge.stores.recording_files import File, FileLocation
from bridge.wire.call_event import EventType

NOT_MIXED: Final = "not_mixed"
"""The mix of both sides could not be made."""


class RecordingEvents:
    """The events of one node's recordings."""

    def __init__(
        self,
        manager: Manager,
        metrics: RecordingMetrics,
        media_key: Callable[[Recording], str],
    ) -> None:
        """`media_key` returns where a recording's file lies, as its line sees it."""
        self._manager = manager
        self._metrics = metrics
        self._media_key = media_key

    def ended(self, recording: Recording, reason: str) -> None:
        """Publish that a track is ready, or why it failed; a mix of packets is ready once it is made."""
        if recording.mixed_from and recording.status == "completed":
            return
        self._ended(recording, reason)

    def _ended(self, recording: Recording, reason: str) -> None:
        failed = recording.status == "failed"
        data: dict[str, Any] = {
            "format": recording.format,
            "contentType": recording.content_type,
            "sizeBytes": recording.size_bytes,
            "expiresAt": recording.expires_at,
            "mediaKey": "" if failed else self._media_key(recording),
        }
        if failed:
            data["reason"] = reason
        self._metrics.recording_ended(recording.status)
        kind = EventType.RECORDING_FAILED if failed else EventType.RECORDING_READY
        self._publish(kind, recording, data)

    def moved(self, file: File, recording: Recording) -> None:
        """Publish where a file can be had from now on, or that a mix could not be made."""
        if recording.mixed_from and file.key == recording.key:
            if file.place == FileLocation.LOST:
                self._ended(replace(recording, status="failed"), NOT_MIXED)
            elif file.place == FileLocation.LOCAL and recording.status == "completed":
                self._ended(recording, "")
        if file.place == FileLocation.LOST:
            return
        stored = file.place == FileLocation.STORE
        data = {
            "format": file.format,
            "askedFor": file.format == recording.format,
            "contentType": file.content_type,
            "sizeBytes": file.size_bytes,
            "mediaKey": file.key,
        }
        kind = EventType.RECORDING_STORED if stored else EventType.RECORDING_COPIED
        self._publish(kind, recording, data)

    def _publish(self, kind: EventType, recording: Recording, data: dict[str, Any]) -> None:
        common: dict[str, Any] = {
            "recordingId": recording.recording_id,
            "kind": recording.kind,
            "durationMs": recording.duration_ms,
            "startedAt": recording.started_at,
            "endedAt": recording.ended_at,
        }
        if recording.source:
            common["source"] = recording.source
        if gaps := recording.gaps:
            common["gaps"] = [{"atMs": gap.at_ms, "durationMs": gap.duration_ms} for gap in gaps]
        self._manager.publish(kind, recording.line, recording.call_id, common | data)
