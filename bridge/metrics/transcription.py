"""Metrics of transcripts."""

from typing import Final

from bridge.metrics.families import OTHER, Families

OUTCOMES: Final = ("completed", "failed", OTHER)
PHRASES: Final = ("transcribed", "failed", "dropped", OTHER)
"""`failed`: an attempt that the provider failed; `dropped`: a live phrase that was left out."""


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
