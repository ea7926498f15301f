"""Settings of transcripts."""

from bridge.settings.section import Positive, PositiveCount, Section


class Transcription(Section, frozen=True):
    """Transcripts of calls, by the speech-to-text provider of each line (`callSttUrl`)."""

    concurrent: PositiveCount = 2
    """Recordings that each node transcribes at once, at most half of them of one line where there are more than
    one. A call that is transcribed live takes one request at a time besides."""
    phrase_seconds: Positive = 30.0
    """Longest phrase that is sent to the provider; a longer one is cut."""
    attempts: PositiveCount = 8
    """How often in a row a recording's provider may fail, with pauses from 10 s to an hour, before its transcript
    is given up."""
    queued_phrases: PositiveCount = 20
    """Phrases of a live call that may wait for the provider; beyond that the oldest are left out."""
    unfinished_per_line: PositiveCount = 1000
    """Transcripts of a line that are not finished; over it, 503."""
