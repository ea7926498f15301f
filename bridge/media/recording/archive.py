"""The recordings: database rows (`stores.recordings`), and files in folders by day, deleted after the retention time."""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from bridge.audio.file.formats import OGG, RECORDED, WAV
from bridge.call.model import CallId, CallRecord, LineName, Parties
from bridge.call.parties import parties_of
from bridge.call.recording import ALL_TRACKS, META, Recording, RecordingRequest, Written, key_stem
from bridge.db.database import Connection, Database
from bridge.errors import DatabaseFailed, DatabaseLost, NotFound
from bridge.media.machine_files import MachineFiles
from bridge.media.recording.repair import repair
from bridge.settings.recording import Recording as RecordingSettings
from bridge.stores import recording_files as files
from bridge.stores import recordings as rows
from bridge.stores.recording_files import File, FileLocation, Files
from bridge.stores.recording_search import RecordingSearch
from bridge.stores.recordings import Begin, End
from bridge.stores.share import Share, only
from bridge.wire.iso8601 import iso8601

BEGIN: Final = "recording.begin"
END: Final = "recording.end"
GAPS: Final = "recording.gaps"
"""What is appended to the database, and waits on the local disk while that is unreachable."""


class Archive:
    """The recordings of all lines."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        settings: RecordingSettings,
        share: Share | None = None,
        *,
        shared: bool = False,
        elsewhere: MachineFiles | None = None,
    ) -> None:
        """Open the archive; keys are relative to the storage folder.

        `shared` says whether other machines use the database too.
        """
        self._database = database
        self.folder = folder
        self._settings = settings
        self._shared = shared
        self._opened = iso8601(datetime.now(UTC))
        self.share = share or only()
        self.elsewhere = elsewhere or MachineFiles(self.share)
        """The files of other machines."""
        self.files = Files(database, self.share)
        self.search = RecordingSearch(database)
        database.handle(BEGIN, _insert_all)
        database.handle(END, self._end_all)
        database.handle(GAPS, _set_all_gaps)

    def path(self, recording: Recording) -> Path:
        """Return the path of a recording's file, if it is on this machine."""
        return self.folder / recording.key

    async def adopt(self) -> None:
        """Name this machine in rows of earlier versions; in all rows if there can be no other."""
        await self._database.run(rows.adopt, self.share.machine, every=not self._shared)

    async def begin(
        self,
        line: LineName,
        call_id: CallId,
        request: RecordingRequest = ALL_TRACKS,
        parties: Parties | None = None,
    ) -> list[Recording]:
        """Insert recordings that are starting, and create their folders.

        While the database is unreachable, the rows wait on the local disk, and the names of the files have a random
        part.
        """
        now, used = datetime.now(UTC), await self._used_keys(call_id)
        recordings = [
            Recording(
                recording_id=f"rec_{secrets.token_hex(12)}",
                call_id=call_id,
                line=line,
                kind=kind,
                key=request.key or self._key(now, call_id, kind, used, request.file_format),
                status="recording",
                started_at=iso8601(now),
                ended_at=None,
                seconds=0.0,
                size_bytes=0,
                expires_at=iso8601(now + timedelta(days=self._settings.kept_days)),
                machine=self.share.machine,
                live=int(self._settings.s3.live and request.key is None),
                format=request.copy_format,
            )
            for kind in request.kinds
        ]
        for recording in recordings:
            self.path(recording).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        who = parties or Parties()
        begin = Begin(recordings, who.from_, who.to)
        if used is not None:
            with suppress(DatabaseLost):
                await self._database.run(rows.insert, begin)
                return recordings
        await self._append(BEGIN, begin)
        return recordings

    def note_gaps(self, recording: Recording) -> None:
        """Note the gaps of a recording that goes on here, before anything else of it from here is."""
        payload = msgspec.msgpack.encode((recording.recording_id, recording.gaps_json))
        self._database.append(GAPS, payload)

    async def finish(
        self, recording: Recording, written: Written, *, failed: bool = False
    ) -> Recording | None:
        """Record that a recording of this process has ended, and return it as it is now.

        None if its end was known: another machine has assembled it from its parts, or it was deleted. While the
        database is unreachable, the end waits on the local disk.
        """
        ended = self._end(recording, written, failed=failed)
        if self._database.reachable:
            with suppress(DatabaseFailed):
                return await self._finish(ended)
        await self._append(END, ended)
        return ended.of(recording)

    async def keep_metas(
        self,
        call: CallRecord,
        path: Path,
        written: Written,
        confirm: Callable[[Connection], bool],
    ) -> Recording | None:
        """Keep a file in which Meta has recorded a call that has ended; with nothing written, that it could not be had.

        None if `confirm`, which is called in the same transaction, says that it is not wanted any more.
        """
        facts, now = call.facts, datetime.now(UTC)
        began = call.answered_at or facts.started_at
        recording = Recording(
            recording_id=f"rec_{secrets.token_hex(12)}",
            call_id=facts.call_id,
            line=facts.line,
            kind="mixed",
            key=f"{key_stem(began, facts.call_id, META)}.{OGG}",
            status="completed" if written.size_bytes else "failed",
            started_at=iso8601(began),
            ended_at=iso8601(began + timedelta(seconds=written.seconds)),
            seconds=written.seconds,
            size_bytes=written.size_bytes,
            expires_at=iso8601(now + timedelta(days=self._settings.kept_days)),
            machine=self.share.machine,
            format=OGG,
            source=META,
        )
        who, target = parties_of(call), self.path(recording)

        def insert(db: Connection) -> bool:
            if not confirm(db):
                return False
            rows.insert(db, Begin([recording], who.from_, who.to))
            files.add(db, self._files_of(recording, iso8601(now)))
            return True

        if written.size_bytes:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            await asyncio.to_thread(path.replace, target)
        if await self._database.run(insert):
            return recording
        # Another node may have kept it.
        if recording.key not in await self._database.run(rows.used_keys, facts.call_id):
            target.unlink(missing_ok=True)
        return None

    async def take_over(self, recording: Recording, written: Written) -> Recording | None:
        """Finish a recording whose process is no more, its file being here; None if another did."""
        ended = self._end(recording, written, failed=not written.size_bytes)
        ended.of_machine = recording.machine
        return await self._finish(ended)

    def _end(self, recording: Recording, written: Written, *, failed: bool) -> End:
        return End(
            recording_id=recording.recording_id,
            status="failed" if failed else "completed",
            ended_at=iso8601(datetime.now(UTC)),
            machine=self.share.machine,
            **asdict(written),
        )

    async def _finish(self, ended: End) -> Recording | None:
        changed = await self._database.run(self._end_one, ended)
        if changed is None or changed[0].status != "recording":
            return None
        return changed[1]

    def _end_one(self, db: Connection, ended: End) -> tuple[Recording, Recording] | None:
        changed = rows.end(db, ended)
        if changed is not None:
            files.add(db, self._files_of(changed[1], ended.ended_at))
        return changed

    def _end_all(self, db: Connection, payloads: list[bytes]) -> None:
        for payload in payloads:
            self._end_one(db, msgspec.json.decode(payload, type=End))

    async def _used_keys(self, call_id: CallId) -> set[str] | None:
        """Return the keys that a call's recordings have already; None while the database is unreachable."""
        if self._database.reachable:
            with suppress(DatabaseFailed):
                return await self._database.run(rows.used_keys, call_id)
        return None

    async def _append(self, kind: str, what: Begin | End) -> None:
        """Append to the database; return once it is on a disk.

        Raises:
            DatabaseFailed: the local disk does not take it either.
        """
        written, failures = asyncio.Event(), list[str]()

        def fail() -> None:
            failures.append("neither the database nor its spool in data.dir accepts writes")
            written.set()

        self._database.append(kind, msgspec.json.encode(what), then=written.set, failed=fail)
        await written.wait()
        if failures:
            raise DatabaseFailed(failures[0])

    async def request_format(self, recording_id: str, file_format: str) -> None:
        """Request a format of a recording that has not ended yet."""
        await self._database.run(rows.request_formats, [(recording_id, file_format)])

    async def of_call(self, line: LineName, call_id: CallId) -> list[Recording]:
        """Return a call's recordings."""
        return await self._database.read(rows.of_call, line, call_id)

    async def find(self, recording_id: str, line: LineName | None = None) -> Recording:
        """Return a recording, of this line if one is given.

        Raises:
            NotFound: There is none with this id.
        """
        found = await self._database.read(rows.find, recording_id)
        if found is None or line not in (None, found.line):
            raise NotFound("recording not found")
        return found

    async def being_recorded(self, line: LineName, call_ids: Iterable[CallId]) -> set[CallId]:
        """Return which of these calls are being recorded now, on any node."""
        found = await self._database.read(rows.being_recorded, line, list(call_ids))
        return {recording.call_id for recording in found}

    async def delete(self, recording: Recording) -> None:
        """Delete a recording's rows and files.

        Stored objects are queued for deletion, and so are files on other machines: those that do not
        answer now delete them when they return.
        """
        stored = bool(self._settings.s3.bucket)
        places = await self._database.run(rows.delete, recording, self.share.machine, stored=stored)
        for machine, key in places:
            if self.is_here(machine):
                (self.folder / key).unlink(missing_ok=True)
        await self.elsewhere.unlink({one for one, _ in places if not self.is_here(one)})

    async def available(self, pause: float = 0.0) -> None:
        """Wait while the database is unreachable, which is logged there, and `pause` seconds more."""
        await self._database.available(pause)

    def is_here(self, machine: str) -> bool:
        """Return whether a row's machine is this one; rows of earlier versions name none."""
        return machine in ("", self.share.machine)

    async def unlink_deleted(self) -> int:
        """Delete the files of this machine that other machines have deleted; return their number."""
        keys = await self._database.read(files.unlinks, self.share.machine)
        if not keys:
            return 0
        for key in keys:
            (self.folder / key).unlink(missing_ok=True)
        await self._database.run(files.unlinked, self.share.machine, keys)
        return len(keys)

    async def sweep(self) -> int:
        """Delete expired recordings and return their number.

        One that seems to go on at a machine that is gone is deleted too. The node with the
        lowest number does it.
        """
        if not self.share.first:
            return 0
        now, machines = iso8601(datetime.now(UTC)), self.share.machines()
        expired = await self._database.read(rows.expired, now, machines)
        for recording in expired:
            await self.delete(recording)
        return len(expired)

    async def finish_interrupted(self) -> list[Recording]:
        """Finish recordings of this machine whose process is no more, and return them.

        A file has what was written up to a second before.
        """
        finished = []
        share = self.share.of_machine()
        for recording in await self._database.read(rows.interrupted, self._opened, share):
            written = await asyncio.to_thread(repair, self.folder, recording)
            ended = await self.take_over(recording, written)
            if ended is not None:
                finished.append(ended)
        return finished

    async def recorded_elsewhere(self) -> list[Recording]:
        """Return the recordings with parts whose machine is gone."""
        return await self._database.read(rows.recorded_elsewhere, self.share.machines())

    async def unlink_unless_ours(self, recording: Recording) -> None:
        """Delete the file of a recording here that another process has finished, if it is not this machine's."""
        with suppress(NotFound):
            if self.is_here((await self.find(recording.recording_id)).machine):
                return
        self.path(recording).unlink(missing_ok=True)

    def _files_of(self, recording: Recording, now: str) -> list[File]:
        """Return the files of a recording that has just ended, copies to be made included."""
        if not recording.size_bytes:
            return []
        own = File(
            recording_id=recording.recording_id,
            format=recording.file_format,
            key=recording.key,
            size_bytes=recording.size_bytes,
            place=FileLocation.LOCAL if recording.is_ours else FileLocation.KEPT,
            since=now,
            node=recording.call_id[:2],
            machine=recording.machine,
        )
        wanted = replace(own, size_bytes=0, place=FileLocation.WANTED)
        copies = {recording.format} | ({OGG} if recording.kind in self._settings.ogg else set())
        forms = copies - {WAV, own.format} if recording.is_ours and recording.seconds else ()
        return [
            wanted if recording.mixed_from else own,
            *(replace(wanted, format=one, key=recording.key_as(one)) for one in sorted(forms)),
        ]

    def _key(
        self, now: datetime, call_id: str, kind: str, used: set[str] | None, file_format: str
    ) -> str:
        stem = key_stem(now, call_id, kind)
        keys = {f"{stem}.{file_format}" for file_format in RECORDED}
        if used is None or keys & used or any((self.folder / key).exists() for key in keys):
            stem += f".{secrets.token_hex(4)}"
        return f"{stem}.{file_format}"


def key_of(folder: Path, path: Path) -> str:
    """Return the path relative to the storage folder, or the whole path if it is outside."""
    storage = folder.resolve()
    return str(path.relative_to(storage) if path.is_relative_to(storage) else path)


async def owner_of(database: Database, folder: Path, path: Path) -> LineName | None:
    """Return the line of a recording with a resolved path; None for any other file."""
    return await database.read(rows.line_of, key_of(folder, path))


def _set_all_gaps(db: Connection, payloads: list[bytes]) -> None:
    for payload in payloads:
        rows.set_gaps(db, *msgspec.msgpack.decode(payload, type=tuple[str, str]))


def _insert_all(db: Connection, payloads: list[bytes]) -> None:
    for payload in payloads:
        rows.insert(db, msgspec.json.decode(payload, type=Begin))
