"""Builds the transcription of calls from the settings."""

from bridge.app.foundation import Foundation
from bridge.app.lines import demonstrations_of
from bridge.call.transcript import Transcribe
from bridge.node.recording.recordings import Recordings
from bridge.node.transcripts.events import TranscriptEvents
from bridge.node.transcripts.recognizers import recognizers
from bridge.node.transcripts.transcription import TranscriptionJobs
from bridge.node.transcripts.transcripts import TranscriptionRules, Transcripts


def build_transcripts(base: Foundation, recordings: Recordings) -> Transcripts:
    """Start and return the service that transcribes calls."""
    settings, metrics = base.settings, base.metrics.transcripts
    own = {name: line.agent or settings.agent for name, line in settings.lines.items()}
    modes = {name: Transcribe(line.transcribe) for name, line in settings.lines.items()}
    rules = TranscriptionRules(
        settings.transcription,
        recognizers(
            base.http,
            base.lines,
            settings_of=lambda line: own.get(line, settings.agent),
            demos=demonstrations_of(settings).keys(),
        ),
        automatic=lambda line: modes.get(line, Transcribe.OFF),
    )
    events = TranscriptEvents(base.manager, base.history, base.database, metrics)
    transcripts = Transcripts(
        base.manager, recordings, base.database, events, rules=rules, metrics=metrics
    )
    jobs = TranscriptionJobs(
        recordings, base.database, events, due=transcripts.due, rules=rules, metrics=metrics
    )
    base.background.spawn(jobs.run(), name="transcription")
    base.application.on_cleanup.append(lambda _: transcripts.aclose())
    return transcripts
