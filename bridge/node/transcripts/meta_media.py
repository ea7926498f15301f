"""Downloads what Meta has recorded and transcribed of calls, keeps it like our own, and deletes it at Meta.

The jobs are rows (`stores.cloud_media`): any node takes what is due, so that they survive their process.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.audio.file.ogg import MAX_PAGE, PRE_SKIP, RATE, last_page
from bridge.backoff import Backoff
from bridge.call.model import CallRecord, LineName
from bridge.call.recording import CONVERTING, Written
from bridge.call.transcript import Phrase, Transcript, Word
from bridge.db.database import Connection, Database, wall_time
from bridge.errors import BridgeError, DatabaseFailed, DatabaseLost, RemoteProtocolError
from bridge.node.recording.recordings import Recordings
from bridge.node.transcripts.events import TranscriptEvents
from bridge.stores import cloud_media, transcripts
from bridge.stores.cloud_media import DELETING, DONE, POSTPONE, MediaJob
from bridge.stores.transcripts import Job
from bridge.tasks import wait_set
from bridge.whatsapp.graph_media import GraphMedia, UnusableFile
from bridge.wire.cloud_recordings import MediaKind, Segment, read_transcript

log = logging.getLogger(__name__)

WORKERS: Final = 3
POLL_SECONDS: Final = 10.0
URL_SECONDS: Final = 270.0
"""Meta's addresses are valid for five minutes."""
AVAILABLE_SECONDS: Final = 7 * 86400.0
"""After the webhook; then Meta deletes the file."""
RECORD_SECONDS: Final = 600.0
"""How long after the webhook a call's record may be missing before the call counts as erased."""
MAX_RECORDING: Final = 256 * 1024 * 1024
MAX_TRANSCRIPT: Final = 8 * 1024 * 1024
RETRY: Final = Backoff(10.0, 21_600.0, factor=4.0)
MAX_UNUSABLE: Final = 5
"""Downloads of a file that is not what the webhook announced."""
OGG_MAGIC: Final = b"OggS"

UNAVAILABLE: Final = "unavailable"
UNUSABLE: Final = "unusable"
"""Why a recording or transcript of Meta's has failed."""


@dataclass(frozen=True, slots=True)
class MetaLine:
    """Where the files of a line are had."""

    media: GraphMedia
    delete: bool
    """Whether they are deleted at Meta once they are here, and when their call is erased."""

    @property
    def after_download(self) -> str:
        """What is to be done with a file that is here."""
        return DELETING if self.delete else DONE


class MetaMedia:
    """The files of all lines of Meta's."""

    def __init__(
        self,
        lines: Mapping[LineName, MetaLine],
        recordings: Recordings,
        events: TranscriptEvents,
        *,
        database: Database,
        due: asyncio.Event,
        count: Callable[[str], None],
    ) -> None:
        """`due` is set when there may be work before the next poll; `count` counts attempts (`META_FILES`)."""
        self._lines = lines
        self._recordings = recordings
        self._events = events
        self._database = database
        self._due = due
        self._count = count

    async def run(self) -> None:
        """Work until cancelled."""
        if self._lines:
            async with asyncio.TaskGroup() as group:
                for number in range(WORKERS):
                    group.create_task(self._work(), name=f"meta media {number}")

    async def erase(self, line: LineName, call_id: str) -> None:
        """Download nothing any more of a call that is being erased, and delete it at Meta."""
        if (known := self._lines.get(line)) is not None:
            await self._database.run(
                cloud_media.erase, line, call_id, delete=known.delete, now=wall_time()
            )
            self._due.set()

    async def _work(self) -> None:
        while True:
            try:
                job = await self._database.run(cloud_media.take, [*self._lines], now=wall_time())
                if job is not None:
                    await self._perform(job)
                    continue
            except DatabaseLost:
                await self._database.available(1.0)
                continue
            except Exception:  # must not end the loop; the job is due again when its lease runs out
                log.exception("whatsapp.media_failed")
            await wait_set(self._due, POLL_SECONDS)
            self._due.clear()

    async def _perform(self, job: MediaJob) -> None:
        try:
            done = await (self._delete(job) if job.status == DELETING else self._fetch(job))
        except DatabaseFailed:
            raise
        except asyncio.CancelledError:
            # For the next process, before the lease runs out.
            key = (job.call_key, job.kind, job.status)
            self._database.append_statement(POSTPONE, (wall_time(), *key))
            raise
        except (BridgeError, OSError) as error:
            await self._failed(job, error)
            return
        if not done:
            await self._postpone(job)

    async def _postpone(self, job: MediaJob) -> None:
        due_at = wall_time() + RETRY.after(job.attempts + 1)
        await self._database.run(cloud_media.postpone, job, due_at=due_at)

    async def _failed(self, job: MediaJob, error: BridgeError | OSError) -> None:
        """Try again, or give up and tell so."""
        unusable = isinstance(error, UnusableFile)
        gives_up = wall_time() - job.told_at > AVAILABLE_SECONDS or (
            unusable and job.attempts + 1 >= MAX_UNUSABLE
        )
        deleting = job.status == DELETING
        log.warning(
            "whatsapp.media_delete_failed" if deleting else "whatsapp.media_download_failed",
            extra={
                "kind": job.kind,
                "reason": str(error) if isinstance(error, BridgeError) else "the disk failed",
                "attempt": job.attempts + 1,
                "given_up": gives_up,
            },
        )
        self._count(("delete_" if deleting else "") + ("failed" if gives_up else "retried"))
        if not gives_up:
            await self._postpone(job)
        elif deleting:
            await self._database.run(cloud_media.move, job, DONE, now=wall_time())
        else:
            await self._give_up(job, UNUSABLE if unusable else UNAVAILABLE)

    async def _give_up(self, job: MediaJob, reason: str) -> None:
        record = await self._record(job)
        if record is None:
            await self._database.run(cloud_media.move, job, DONE, now=wall_time())
        elif job.kind == MediaKind.RECORDING:
            await self._keep_recording(job, record, (Path(), Written()), DONE, reason)
        else:
            await self._keep_transcript(job, record, [], DONE, reason)

    async def _record(self, job: MediaJob) -> CallRecord | None:
        call_id = await self._database.read(cloud_media.call_of, job.call_key)
        return await self._events.manager.find_record(job.line, call_id) if call_id else None

    async def _delete(self, job: MediaJob) -> bool:
        await self._lines[job.line].media.delete(job.media_id)
        self._count("deleted")
        await self._database.run(cloud_media.move, job, DONE, now=wall_time())
        return True

    async def _fetch(self, job: MediaJob) -> bool:
        """Download and keep a file; return False if its call has not ended yet."""
        line, age = self._lines[job.line], wall_time() - job.told_at
        record = await self._record(job)
        if record is None or record.reason is None:
            if age < RECORD_SECONDS:
                return False
            # Not a call of ours, or one that was erased before the webhook came.
            known = await self._database.read(cloud_media.call_of, job.call_key)
            status = line.after_download if known else DONE
            await self._database.run(cloud_media.move, job, status, now=wall_time())
            return True
        fresh = age < URL_SECONDS and not job.attempts
        url = (job.url if fresh else "") or await line.media.url_of(job.media_id)
        path = await self._temporary()
        try:
            if job.kind == MediaKind.RECORDING:
                await line.media.download(url, path, sha256=job.sha256, limit=MAX_RECORDING)
                written = await asyncio.to_thread(_written, path)
                await self._keep_recording(job, record, (path, written), line.after_download)
            else:
                await line.media.download(url, path, sha256=job.sha256, limit=MAX_TRANSCRIPT)
                phrases = await asyncio.to_thread(_phrases, path)
                await self._keep_transcript(job, record, phrases, line.after_download)
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        self._count("stored")
        return True

    async def _temporary(self) -> Path:
        self._recordings.rules.disk_space.check()
        folder = self._recordings.archive.folder / CONVERTING
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True, mode=0o700)
        return folder / f"meta.{secrets.token_hex(8)}"

    async def _keep_recording(
        self,
        job: MediaJob,
        record: CallRecord,
        file: tuple[Path, Written],
        status: str,
        failure: str = "",
    ) -> None:
        def confirm(db: Connection) -> bool:
            return cloud_media.move(db, job, status, now=wall_time())

        kept = await self._recordings.archive.keep_metas(record, *file, confirm)
        if kept is not None:
            self._recordings.ended(kept, failure)
            self._due.set()

    async def _keep_transcript(
        self,
        job: MediaJob,
        record: CallRecord,
        phrases: list[Phrase],
        status: str,
        failure: str = "",
    ) -> None:
        own = Job(record.facts.call_id, record.facts.line)

        def keep(db: Connection) -> Transcript | None:
            now = wall_time()
            if not cloud_media.move(db, job, status, now=now):
                return None
            return transcripts.keep_metas(db, own, phrases, now=now, failure=failure)

        found = await self._database.run(keep)
        if found is not None:
            await self._events.publish(found)
        self._due.set()


def _phrases(path: Path) -> list[Phrase]:
    try:
        return [_phrase(segment) for segment in read_transcript(path.read_bytes())]
    except RemoteProtocolError as error:
        raise UnusableFile(str(error)) from None


def _phrase(segment: Segment) -> Phrase:
    return Phrase(
        track="inbound" if segment.customer else "outbound",
        start=segment.start,
        end=segment.end,
        text=segment.text,
        words=tuple(Word(word.text, word.start, word.end) for word in segment.words),
        language=segment.language,
    )


def _written(path: Path) -> Written:
    """Return size and duration of an Ogg file of Opus."""
    with path.open("rb") as file:
        if file.read(len(OGG_MAGIC)) != OGG_MAGIC:
            raise UnusableFile("Meta's recording is not an Ogg file")
        size = file.seek(0, 2)
        file.seek(max(0, size - 2 * MAX_PAGE))
        last = last_page(file.read())
    return Written(size, max(0, last.granule - PRE_SKIP) / RATE if last else 0.0)
