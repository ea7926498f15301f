"""Metrics of recordings and what becomes of them: uploads, transcripts, voicemails; and of audio assets."""

from typing import Final

from bridge.metrics.families import OTHER, Families

OUTCOMES: Final = ("completed", "failed", OTHER)
UPLOADS: Final = ("stored", "denied", "missing", "timeout", "unreachable", OTHER)
"""Of an attempt to upload a file or delete an object."""
PARTS: Final = (*UPLOADS[:-1], "skipped", OTHER)
"""Of a part of a recording that goes on; `skipped`: the store failed for too long."""
COPIES: Final = ("made", "failed", OTHER)
ASSET_SOURCES: Final = ("cached", "machine", "store", "failed", OTHER)
META_FILES: Final = (
    "stored",
    "retried",
    "failed",
    "deleted",
    "delete_retried",
    "delete_failed",
    OTHER,
)
"""`retried`, `delete_retried`: an attempt that failed and is repeated; `failed`, `delete_failed`: given up."""
PHRASES: Final = ("transcribed", "failed", "dropped", OTHER)
"""`failed`: an attempt that the provider failed; `dropped`: a live phrase that was left out."""
VOICEMAIL_OUTCOMES: Final = ("received", "empty", "abandoned", "failed", OTHER)
"""`empty`: nothing was said, or too little; `abandoned`: the caller left before the tone, or somebody answered."""


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
        self.meta_file = create.counter(
            "bridge_whatsapp_files_total",
            "Attempts to download Meta's recordings and transcripts, and to delete them at Meta.",
            outcome=META_FILES,
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
        self.asset_fetched = create.counter(
            "bridge_asset_fetches_total",
            "Audio assets of other machines that were played here, by where they came from.",
            source=ASSET_SOURCES,
        )

    def set_spool(
        self, *, files: int, size_bytes: int, oldest_seconds: float, deletions: int
    ) -> None:
        """Set what waits for upload or deletion."""
        self._files(files)
        self._bytes(size_bytes)
        self._oldest(oldest_seconds)
        self._deletions(deletions)


class TranscriptionMetrics:
    """Transcription metrics of one node."""

    def __init__(self, create: Families) -> None:
        self.finished = create.counter(
            "bridge_transcripts_total", "Transcripts finished.", outcome=OUTCOMES
        )
        self.phrase = create.counter(
            "bridge_transcript_phrases_total",
            "Phrases sent to speech-to-text providers for transcripts.",
            outcome=PHRASES,
        )
        self.set_waiting = create.gauge(
            "bridge_transcripts_waiting", "Recordings queued for transcription."
        )


class VoicemailMetrics:
    """Voicemail metrics of one node."""

    def __init__(self, create: Families) -> None:
        self.ended = create.counter(
            "bridge_voicemails_total",
            "Calls sent to voicemail, by what became of the message.",
            outcome=VOICEMAIL_OUTCOMES,
        )
