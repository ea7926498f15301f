"""Metrics of recordings: how they end, and what waits to be moved up to a store."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from bridge.metrics.labels import OTHER, closed

OUTCOMES: Final = ("completed", "failed", OTHER)
UPLOADS: Final = ("stored", "denied", "missing", "timeout", "unreachable", OTHER)
"""What became of a try to move a file up, or to delete an object."""
COPIES: Final = ("made", "failed", OTHER)


class RecordingMetrics:
    """What one node counts of its recordings."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ended = Counter(
            "bridge_recordings_total", "Tracks recorded.", ["outcome"], registry=registry
        )
        self._uploads = Counter(
            "bridge_recording_uploads_total",
            "Tries to move a file up to the store, or to delete one there.",
            ["outcome"],
            registry=registry,
        )
        self._copies = Counter(
            "bridge_recording_copies_total",
            "Ogg/Opus copies of recordings.",
            ["outcome"],
            registry=registry,
        )
        self._files = Gauge(
            "bridge_recording_spool_files",
            "Files that wait to be moved up to the store.",
            registry=registry,
        )
        self._bytes = Gauge(
            "bridge_recording_spool_bytes", "Bytes of these files.", registry=registry
        )
        self._oldest = Gauge(
            "bridge_recording_spool_oldest_seconds",
            "For how long the oldest of these files has waited.",
            registry=registry,
        )
        self._deletions = Gauge(
            "bridge_recording_deletions_waiting",
            "Objects that are still to be deleted in the store.",
            registry=registry,
        )
        self._free = Gauge(
            "bridge_recording_free_bytes",
            "What the disk with the recordings has left.",
            registry=registry,
        )
        for counter, words in (
            (self._ended, OUTCOMES),
            (self._uploads, UPLOADS),
            (self._copies, COPIES),
        ):
            for word in words:
                counter.labels(word)

    def recording_ended(self, outcome: str) -> None:
        """Count a track (`OUTCOMES`)."""
        self._ended.labels(closed(outcome, OUTCOMES)).inc()

    def upload(self, outcome: str) -> None:
        """Count a try to move a file up, or to delete one there (`UPLOADS`)."""
        self._uploads.labels(closed(outcome, UPLOADS)).inc()

    def copy(self, outcome: str) -> None:
        """Count a copy (`COPIES`)."""
        self._copies.labels(closed(outcome, COPIES)).inc()

    def set_spool(
        self, *, files: int, size_bytes: int, oldest_seconds: float, deletions: int
    ) -> None:
        """Set what waits for the store."""
        self._files.set(files)
        self._bytes.set(size_bytes)
        self._oldest.set(oldest_seconds)
        self._deletions.set(deletions)

    def set_free_bytes(self, free: int) -> None:
        """Set what the disk with the recordings has left."""
        self._free.set(free)
