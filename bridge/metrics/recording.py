"""Metrics of recordings and their upload to object storage."""

from typing import Final

from bridge.metrics.families import OTHER, Families

OUTCOMES: Final = ("completed", "failed", OTHER)
UPLOADS: Final = ("stored", "denied", "missing", "timeout", "unreachable", OTHER)
"""Of an attempt to upload a file or delete an object."""
PARTS: Final = (*UPLOADS[:-1], "skipped", OTHER)
"""Of a part of a recording that goes on; `skipped`: the store failed for too long."""
COPIES: Final = ("made", "failed", OTHER)


class RecordingMetrics:
    """Recording metrics of one node."""

    def __init__(self, create: Families) -> None:
        self.recording_ended = create.counter(
            "bridge_recordings_total", "Tracks recorded.", outcome=OUTCOMES
        )
        self.upload = create.counter(
            "bridge_recording_uploads_total",
            "Attempts to upload a recording or delete it from object storage.",
            outcome=UPLOADS,
        )
        self.part = create.counter(
            "bridge_recording_parts_total",
            "Parts of 5 s that were uploaded while their call was recorded (recording.s3.live).",
            outcome=PARTS,
        )
        self.copy = create.counter(
            "bridge_recording_copies_total",
            "Copies of recordings in other formats, and mixes of packets.",
            outcome=COPIES,
        )
        self._files = create.gauge("bridge_recording_spool_files", "Files waiting for upload.")
        self._bytes = create.gauge("bridge_recording_spool_bytes", "Bytes waiting for upload.")
        self._oldest = create.gauge(
            "bridge_recording_spool_oldest_seconds", "Age of the oldest file waiting for upload."
        )
        self._deletions = create.gauge(
            "bridge_recording_deletions_waiting",
            "Objects waiting to be deleted from object storage.",
        )
        self.set_free_bytes = create.gauge(
            "bridge_recording_free_bytes", "Free space of the disk with the recordings."
        )

    def set_spool(
        self, *, files: int, size_bytes: int, oldest_seconds: float, deletions: int
    ) -> None:
        """Set what waits for upload or deletion."""
        self._files(files)
        self._bytes(size_bytes)
        self._oldest(oldest_seconds)
        self._deletions(deletions)
