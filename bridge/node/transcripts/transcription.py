"""Transcribes recordings of calls that have ended; what waits is in the database and survives the process."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bridge.agent.providers import ProviderFailed, Recognizer
from bridge.audio.detect.phrases import PhraseSplitter, SpokenPhrase
from bridge.backoff import Backoff
from bridge.call.model import CallId, LineName
from bridge.call.recording import Recording
from bridge.db.database import Database, wall_time
from bridge.errors import (
    BridgeError,
    DatabaseFailed,
    DatabaseLost,
    FileUnavailable,
    NotFound,
    StoreFailed,
    Unsupported,
)
from bridge.metrics.recording import TranscriptionMetrics
from bridge.node.recording.recordings import Recordings
from bridge.node.transcripts.events import TranscriptEvents
from bridge.node.transcripts.live import phrase_of
from bridge.node.transcripts.transcripts import TranscriptionRules
from bridge.stores import transcripts
from bridge.stores.transcripts import Job
from bridge.tasks import wait_set

log = logging.getLogger(__name__)

NOT_RECORDED: Final = "not_recorded"
"""There is no audio: the recording failed, or was deleted."""
NO_PROVIDER: Final = "no_provider"
"""The line has no speech-to-text provider any more."""

CRASHED: Final = "internal_error"


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds between attempts."""

    poll: float = 10.0
    """For work left by other nodes, and attempts that are due again."""
    unfinished: float = 2.0
    """While files of a recording are being finished, and after an outage of the database."""
    recovery: float = 30.0
    """Between looks at what other processes have left."""
    unreachable: float = 60.0
    """While the machine with the files is gone."""
    retry: Backoff = Backoff(10.0, 3600.0, factor=3.0)


class TranscriptionJobs:
    """The recordings that this node transcribes."""

    def __init__(
        self,
        recordings: Recordings,
        database: Database,
        events: TranscriptEvents,
        *,
        due: asyncio.Event,
        rules: TranscriptionRules,
        metrics: TranscriptionMetrics,
    ) -> None:
        """`due` is set when there may be work before the next poll."""
        self._recordings = recordings
        self._database = database
        self._events = events
        self._due = due
        self._recognizer_of = rules.recognizer_of
        self._settings = rules.settings
        self._metrics = metrics
        self._pauses = Pauses()
        self._busy: dict[str, str] = {}
        """Calls that are being transcribed, and their lines."""

    @property
    def _own(self) -> Mapping[str, str]:
        return self._recordings.archive.share.of_all()

    async def run(self) -> None:
        """Transcribe recordings until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recover(), name="transcription recovery")
            for number in range(self._settings.concurrent):
                group.create_task(self._work(), name=f"transcription {number}")

    async def _recover(self) -> None:
        """Take up what processes have left that are no more."""
        began = wall_time()
        while True:
            try:
                found = await self._database.run(
                    transcripts.recover, self._own, began=began, now=wall_time()
                )
                for call_id in found:
                    await self._events.finish(CallId(call_id))
            except DatabaseLost:
                await self._database.available(self._pauses.unfinished)
                continue
            except DatabaseFailed:
                log.exception("transcript.recovery_failed")
            self._due.set()
            await asyncio.sleep(self._pauses.recovery)

    async def _work(self) -> None:
        while True:
            try:
                if await self._work_once():
                    continue
            except DatabaseLost:
                await self._database.available(self._pauses.unfinished)
                continue
            except (DatabaseFailed, OSError):
                log.exception("transcript.processing_failed")
            await wait_set(self._due, self._pauses.poll)
            self._due.clear()

    async def _work_once(self) -> bool:
        """Take one job; return False if there is none."""
        per_line = max(1, self._settings.concurrent // 2)
        lines = list(self._busy.values())
        full = {line for line in lines if lines.count(line) >= per_line}
        own = self._own
        job = await self._database.read(
            transcripts.next_job, own, now=wall_time(), busy=[*self._busy], lines=full
        )
        self._metrics.set_waiting(await self._database.read(transcripts.waiting, own))
        if job is None or job.call_id in self._busy:
            return job is not None
        self._busy[job.call_id] = job.line
        try:
            await self._perform(job)
        finally:
            del self._busy[job.call_id]
        return True

    async def _perform(self, job: Job) -> None:
        try:
            done = await self._transcribe(job)
        except (ProviderFailed, StoreFailed) as error:
            await self._failed(job, error)
        except DatabaseFailed:
            raise
        except FileUnavailable:
            await self._postpone(job, self._pauses.unreachable, failed=False)
        except (NotFound, Unsupported) as error:
            failure = NO_PROVIDER if isinstance(error, Unsupported) else NOT_RECORDED
            await self._finish(job, failure)
        except Exception:  # must neither end the loop nor be retried forever
            log.exception("transcript.crashed", extra={"call": job.call_id})
            await self._finish(job, CRASHED)
        else:
            if done:
                await self._finish(job)
            else:
                await self._postpone(job, self._pauses.unfinished, failed=False)

    async def _failed(self, job: Job, error: BridgeError) -> None:
        found = error.reason if isinstance(error, ProviderFailed | StoreFailed) else error.code
        self._metrics.phrase("failed")
        # Phrases that were transcribed meanwhile have reset the count.
        failures = await self._database.run(transcripts.attempts, job.call_id) + 1
        if failures >= self._settings.attempts:
            await self._finish(job, found)
        else:
            await self._postpone(job, self._pauses.retry.after(failures), failed=True)

    async def _postpone(self, job: Job, seconds: float, *, failed: bool) -> None:
        due_at = wall_time() + seconds
        await self._database.run(transcripts.postpone, job.call_id, due_at=due_at, failed=failed)

    async def _finish(self, job: Job, failure: str = "") -> None:
        await self._events.finish(
            CallId(job.call_id), failure=failure, callback_url=job.callback_url
        )

    async def _transcribe(self, job: Job) -> bool:
        """Transcribe all tracks; return False while their files are being finished."""
        line, call_id = LineName(job.line), CallId(job.call_id)
        recognizer = self._recognizer_of(line)
        found = await self._recordings.archive.of_call(line, call_id)
        if any(one.status == "recording" for one in found):
            return False
        tracks = [one for one in _tracks(found) if one.size_bytes]
        if not tracks:
            raise NotFound("the call has no recording")
        record = await self._events.manager.find_record(line, call_id)
        answered = record.answered_at if record else None
        done = await self._database.read(transcripts.keys, call_id)
        for track in tracks:
            began = datetime.fromisoformat(track.started_at)
            offset = max(0.0, (began - answered).total_seconds()) if answered else 0.0
            await self._transcribe_track(recognizer, track, offset, done)
        return True

    async def _transcribe_track(
        self, recognizer: Recognizer, track: Recording, offset: float, done: set[str]
    ) -> None:
        splitter = PhraseSplitter(max_seconds=self._settings.phrase_seconds)
        audio = self._recordings.read_audio(track)

        async def keep(phrases: list[SpokenPhrase]) -> None:
            for spoken in phrases:
                key = f"{track.recording_id} {spoken.start:.3f}"
                if key in done:
                    continue
                heard = await recognizer.recognize(spoken.pcm)
                self._metrics.phrase("transcribed")
                phrase = phrase_of(track.kind, spoken, offset, heard)
                await self._database.run(transcripts.add_phrase, track.call_id, key, phrase)

        async with aclosing(audio) as blocks:
            async for block in blocks:
                await keep(splitter.push(block))
        await keep(splitter.flush())


def _tracks(recordings: list[Recording]) -> list[Recording]:
    """Return the recordings that tell the speakers apart; those of both where there are none."""
    apart = [one for one in recordings if one.kind in ("inbound", "outbound") and one.size_bytes]
    return apart or recordings
