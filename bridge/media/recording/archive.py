"""The recordings: database rows, and files in folders by day, deleted after the retention time."""

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from bridge.call.model import CallId, LineName, Parties
from bridge.db.database import Connection, Database, marks
from bridge.errors import DatabaseFailed, DatabaseLost, NotFound
from bridge.media.machine_files import MachineFiles
from bridge.media.recording import files, rows
from bridge.media.recording.files import OGG, PREFIX, WAV, File, FileLocation, Files
from bridge.media.recording.repair import repair
from bridge.media.recording.rows import Begin, End, Recording
from bridge.media.recording.search import RecordingSearch
from bridge.media.share import Share, only
from bridge.stores.lost_nodes import not_live
from bridge.wire.iso8601 import iso8601

BEGIN: Final = "recording.begin"
END: Final = "recording.end"
"""What is appended to the database, and waits on the local disk while that is unreachable."""


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """Which files are kept, and for how long."""

    kept_days: float
    ogg: frozenset[str] = frozenset()
    """Kinds of recording of which an Ogg/Opus copy is made."""
    stored: bool = False
    """Whether files are uploaded to object storage."""
    live: bool = False
    """Whether parts of a recording are uploaded while it goes on."""
    shared: bool = False
    """Whether other machines use the database too."""


class Archive:
    """The recordings of all lines."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        rules: RetentionRules,
        share: Share | None = None,
        *,
        elsewhere: MachineFiles | None = None,
    ) -> None:
        """Open the archive; keys are relative to the storage folder."""
        self._database = database
        self.folder = folder
        self._rules = rules
        self._opened = iso8601(datetime.now(UTC))
        self.share = share or only()
        self.elsewhere = elsewhere or MachineFiles(self.share)
        """The files of other machines."""
        self.files = Files(database, self.share)
        self.search = RecordingSearch(database)
        database.handle(BEGIN, _insert_all)
        database.handle(END, self._end_all)

    def path(self, recording: Recording) -> Path:
        """Return the path of a recording's file, if it is on this machine."""
        return self.folder / recording.key

    async def adopt(self) -> None:
        """Name this machine in rows of earlier versions; in all rows if there can be no other."""
        await self._database.run(rows.adopt, self.share.machine, every=not self._rules.shared)

    async def begin(
        self,
        line: LineName,
        call_id: CallId,
        keys: Mapping[str, str | None],
        form: str = WAV,
        parties: Parties | None = None,
        *,
        suffix: str = WAV,
    ) -> list[Recording]:
        """Insert recordings that are starting, and create their folders.

        `keys` has by kind of recording the key that a caller chose, or None; `form` is the requested
        format, of `files.CONTENT_TYPES`, and `suffix` the one they are recorded in. While the database is unreachable, the rows wait on the local
        disk, and the names of the files have a random part.
        """
        now, used = datetime.now(UTC), await self._used_keys(call_id)
        recordings = [
            Recording(
                recording_id=f"rec_{secrets.token_hex(12)}",
                call_id=call_id,
                line=line,
                kind=kind,
                key=key or self._key(now, call_id, kind, used, suffix),
                status="recording",
                started_at=iso8601(now),
                ended_at=None,
                seconds=0.0,
                size_bytes=0,
                expires_at=iso8601(now + timedelta(days=self._rules.kept_days)),
                machine=self.share.machine,
                live=int(self._rules.live and key is None),
                format=form,
            )
            for kind, key in keys.items()
        ]
        for recording in recordings:
            self.path(recording).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        who = parties or Parties()
        begin = Begin(recordings, who.from_, who.to)
        if used is None:
            await self._append(BEGIN, begin)
            return recordings
        try:
            await self._database.run(rows.insert, begin)
        except DatabaseLost:
            await self._append(BEGIN, begin)
        return recordings

    async def finish(
        self, recording: Recording, *, seconds: float, size_bytes: int, failed: bool
    ) -> Recording | None:
        """Record that a recording of this process has ended, and return it as it is now.

        None if its end was known: another machine has assembled it from its parts, or it was deleted. While the
        database is unreachable, the end waits on the local disk.
        """
        ended = self._end(recording, seconds=seconds, size_bytes=size_bytes, failed=failed)
        if self._database.reachable:
            with suppress(DatabaseFailed):
                return await self._finish(ended)
        await self._append(END, ended)
        return replace(
            recording,
            status=ended.status,
            ended_at=ended.ended_at,
            seconds=seconds,
            size_bytes=size_bytes,
        )

    async def take_over(
        self, recording: Recording, *, seconds: float, size_bytes: int, failed: bool
    ) -> Recording | None:
        """Finish a recording whose process is no more, its file being here; None if another did."""
        ended = self._end(recording, seconds=seconds, size_bytes=size_bytes, failed=failed)
        ended.of_machine = recording.machine
        return await self._finish(ended)

    def _end(self, recording: Recording, *, seconds: float, size_bytes: int, failed: bool) -> End:
        return End(
            recording.recording_id,
            "failed" if failed else "completed",
            iso8601(datetime.now(UTC)),
            seconds,
            size_bytes,
            self.share.machine,
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
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settle(error: DatabaseFailed | None = None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        self._database.append(
            kind,
            msgspec.json.encode(what),
            then=settle,
            failed=lambda: settle(DatabaseFailed("neither the database nor the disk takes more")),
        )
        await done

    async def request_format(self, recording_id: str, form: str) -> None:
        """Request a format of a recording that has not ended yet."""
        await self._database.run(rows.request_formats, [(recording_id, form)])

    async def of_call(self, line: LineName, call_id: CallId) -> list[Recording]:
        """Return a call's recordings."""
        return await self._select("line = ? AND call_id = ?", line, call_id)

    async def find(self, recording_id: str, line: LineName | None = None) -> Recording:
        """Return a recording, of this line if one is given.

        Raises:
            NotFound: There is none with this id.
        """
        found = await self._select("recording_id = ?", recording_id)
        if not found or line not in (None, found[0].line):
            raise NotFound("recording not found")
        return found[0]

    async def being_recorded(self, line: LineName, call_ids: Iterable[CallId]) -> set[CallId]:
        """Return which of these calls are being recorded now, on any node."""
        wanted = list(call_ids)
        where = f"line = ? AND status = 'recording' AND call_id IN {marks(wanted)}"
        found = await self._select(where, line, *wanted)
        return {recording.call_id for recording in found}

    async def delete(self, recording: Recording) -> None:
        """Delete a recording's rows and files.

        Stored objects are queued for deletion, and so are files on other machines: those that do not
        answer now delete them when they return.
        """

        def delete_rows(db: Connection) -> list[tuple[str, str]]:
            row = (recording.recording_id,)
            db.execute("DELETE FROM recordings WHERE recording_id = ?", row)
            db.execute("DELETE FROM recording_formats WHERE recording_id = ?", row)
            db.execute(
                "DELETE FROM recorded_calls WHERE call_id = ?1 "
                "AND NOT EXISTS (SELECT 1 FROM recordings WHERE call_id = ?1)",
                (recording.call_id,),
            )
            if recording.live:
                files.queue_deletions(db, [files.parts_of(recording.recording_id)])
            places = files.remove(db, recording.recording_id, stored=self._rules.stored)
            places += [(recording.machine, key) for key in (recording.key, *recording.mixed_from)]
            elsewhere = [place for place in places if not self.is_here(place[0])]
            files.queue_unlinks(db, elsewhere)
            return places

        places = set(await self._database.run(delete_rows))
        for machine, key in places:
            if self.is_here(machine):
                (self.folder / key).unlink(missing_ok=True)
        await self.elsewhere.unlink({one for one, _ in places if not self.is_here(one)})

    async def available(self) -> None:
        """Wait while the database is unreachable, which is logged there."""
        await self._database.available()

    @property
    def live(self) -> bool:
        """Whether parts of recordings are uploaded while they go on."""
        return self._rules.live

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

        One that seems to go on at a machine that is gone is deleted too. The first of all processes
        does it.
        """
        if not self.share.first:
            return 0
        machines = sorted(self.share.machines())
        where = f"expires_at < ? AND (status != 'recording' OR machine NOT IN {marks(machines)})"
        expired = await self._select(where, iso8601(datetime.now(UTC)), *machines)
        for recording in expired:
            await self.delete(recording)
        return len(expired)

    async def finish_interrupted(self) -> list[Recording]:
        """Finish recordings of this machine whose process is no more, and return them.

        A file has what was written up to a second before.
        """
        where = (
            "status = 'recording' AND machine = :machine AND "
            "instr(:others, substr(call_id, 1, 2)) = 0 AND "
            f"(started_at <= :opened OR substr(call_id, 1, 2) <> :own) AND {not_live('recordings')}"
        )
        values = {"opened": self._opened, **self.share.of_machine()}
        finished = []
        for recording in await self._database.read(rows.select, where, values):
            found = await asyncio.to_thread(repair, self.folder, recording)
            size, seconds = found.size_bytes, found.seconds
            ended = await self.take_over(
                recording, seconds=seconds, size_bytes=size, failed=size == 0
            )
            if ended is not None:
                finished.append(ended)
        return finished

    async def recorded_elsewhere(self) -> list[Recording]:
        """Return the recordings with parts whose machine is gone."""
        machines = sorted(self.share.machines())
        where = f"status = 'recording' AND live = 1 AND machine NOT IN {marks(machines)}"
        return await self._select(where, *machines)

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
        place = FileLocation.LOCAL if recording.is_ours else FileLocation.KEPT
        owner = (now, recording.call_id[:2], recording.machine)
        identity = recording.recording_id
        size, own = recording.size_bytes, recording.file_format
        if recording.mixed_from:
            size, place = 0, FileLocation.WANTED
        found = [File(identity, own, recording.key, size, place, *owner)]
        if recording.is_ours and recording.seconds:
            copies = {OGG} if recording.kind in self._rules.ogg else set()
            for form in sorted((copies | {recording.format}) - {WAV, own}):
                key = recording.key_as(form)
                found.append(File(identity, form, key, 0, FileLocation.WANTED, *owner))
        return found

    def _key(
        self, now: datetime, call_id: str, kind: str, used: set[str] | None, suffix: str
    ) -> str:
        name = f"{call_id}" if kind == "inbound" else f"{call_id}.{kind}"
        stem = f"{PREFIX}{now:%Y/%m/%d}/{name}"
        keys = {f"{stem}.{form}" for form in (WAV, OGG)}
        if used is None or keys & used or any((self.folder / key).exists() for key in keys):
            stem += f".{secrets.token_hex(4)}"
        return f"{stem}.{suffix}"

    async def _select(self, where: str, *values: str) -> list[Recording]:
        return await self._database.read(rows.select, where, values)


def key_of(folder: Path, path: Path) -> str:
    """Return the path relative to the storage folder, or the whole path if it is outside."""
    storage = folder.resolve()
    return str(path.relative_to(storage) if path.is_relative_to(storage) else path)


async def owner_of(database: Database, folder: Path, path: Path) -> LineName | None:
    """Return the line of a recording with a resolved path; None for any other file."""
    query, key = "SELECT line FROM recordings WHERE key = ?", key_of(folder, path)
    row = await database.read(lambda db: db.execute(query, (key,)).fetchone())
    return LineName(row[0]) if row else None


def _insert_all(db: Connection, payloads: list[bytes]) -> None:
    for payload in payloads:
        rows.insert(db, msgspec.json.decode(payload, type=Begin))
