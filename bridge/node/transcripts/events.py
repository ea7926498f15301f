"""Publishes and counts phrases and transcripts, and finishes transcripts."""

import logging
from collections.abc import Mapping
from typing import Any

from bridge.call.model import CallId, LineName
from bridge.call.transcript import Phrase, Transcript, TranscriptStatus
from bridge.db.database import Database, wall_time
from bridge.metrics.recording import TranscriptionMetrics
from bridge.node.manager import Manager
from bridge.node.publisher import new_event
from bridge.stores import transcripts
from bridge.wire.call_event import EventType

log = logging.getLogger(__name__)


class TranscriptEvents:
    """The events of one node's transcripts."""

    def __init__(self, manager: Manager, database: Database, metrics: TranscriptionMetrics) -> None:
        self.manager = manager
        self._database = database
        self._metrics = metrics

    def phrase(self, line: LineName, call_id: CallId, phrase: Phrase) -> None:
        """Publish a phrase of a live call."""
        self.manager.publish(EventType.TRANSCRIPT, line, call_id, shown_phrase(phrase))

    async def finish(self, call_id: CallId, *, failure: str = "", callback_url: str = "") -> None:
        """Finish a transcript and publish that, unless it has been erased."""
        found = await self._database.run(
            transcripts.finish, call_id, now=wall_time(), failure=failure
        )
        if found is not None:
            await self.publish(found, callback_url)

    async def publish(self, found: Transcript, callback_url: str = "") -> None:
        """Publish the end of a transcript."""
        call_id, failure = CallId(found.call_id), found.failure
        failed = found.status is TranscriptStatus.FAILED
        self._metrics.finished("failed" if failed else "completed")
        data: dict[str, Any] = {
            "mode": found.mode,
            "phrases": len(found.phrases),
            "missing": found.missing,
            "url": f"/call/{call_id}/transcript",
        }
        if found.source:
            data["source"] = found.source
        if failed:
            data["reason"] = failure
            log.warning("transcript.failed", extra={"call": call_id, "reason": failure})
        kind = EventType.TRANSCRIPT_FAILED if failed else EventType.TRANSCRIPT_READY
        line = LineName(found.line)
        record = await self.manager.find_record(line, call_id)
        event = new_event(kind, line, record, data, callback_url=callback_url)
        self.manager.publisher.publish(event)


def shown_phrase(phrase: Phrase) -> Mapping[str, Any]:
    """Return a phrase as events and the API show it."""
    shown: dict[str, Any] = {
        "track": phrase.track,
        "startMs": round(phrase.start * 1000),
        "endMs": round(phrase.end * 1000),
        "text": phrase.text,
    }
    if phrase.language:
        shown["language"] = phrase.language
    if phrase.words:
        shown["words"] = [
            {
                "word": word.text,
                "startMs": round(word.start * 1000),
                "endMs": round(word.end * 1000),
            }
            for word in phrase.words
        ]
    return shown
