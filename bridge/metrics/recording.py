"""Metrics of recordings and their upload to object storage."""

from typing import Final

from bridge.metrics.labels import OTHER, Families, closed

OUTCOMES: Final = ("completed", "failed", OTHER)
UPLOADS: Final = ("stored", "denied", "missing", "timeout", "unreachable", OTHER)
"""Of an attempt to upload a file or delete an object."""
COPIES: Final = ("made", "failed", OTHER)


class RecordingMetrics:
    """Recording metrics of one node."""

    def __init__(self, create: Families) -> None:
        self._ended = create.counter(
            "bridge_recordings_total", "Tracks recorded.", outcome=OUTCOMES
        )
        self._uploads = create.counter(
            "bridge_recording_uploads_total",
            "Attempts to upload a recording or delete it from object storage.",
            outcome=UPLOADS,
        )
        self._copies = create.counter(
            "bridge_recording_copies_total", "Ogg/Opus copies of recordings.", outcome=COPIES
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
        self._free = create.gauge(
            "bridge_recording_free_bytes", "Free space of the disk with the recordings."
        )

    def recording_ended(self, outcome: str) -> None:
        """Count a track (`OUTCOMES`)."""
        self._ended.labels(closed(outcome, OUTCOMES)).inc()

    def upload(self, outcome: str) -> None:
        """Count an attempt to upload or delete (`UPLOADS`)."""
        self._uploads.labels(closed(outcome, UPLOADS)).inc()

    def copy(self, outcome: str) -> None:
        """Count a copy (`COPIES`)."""
        self._copies.labels(closed(outcome, COPIES)).inc()

    def set_spool(
        self, *, files: int, size_bytes: int, oldest_seconds: float, deletions: int
    ) -> None:
        """Set what waits for upload or deletion."""
        self._files.set(files)
        self._bytes.set(size_bytes)
        self._oldest.set(oldest_seconds)
        self._deletions.set(deletions)

    def set_free_bytes(self, free: int) -> None:
        """Set the free space of the recordings' disk."""
        self._free.set(free)
