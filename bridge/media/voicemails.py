"""The voicemails of all lines: database rows, each about one recording in the archive.

A row is written before the message is recorded, and counts once the recording is complete: a process that
is killed in between leaves a row that its next start completes. There is one voicemail per call at most.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime
from typing import Final

from bridge.call.model import CallId, LineName
from bridge.call.recording import Recording
from bridge.db.database import Connection, Database, Values, count_rows, marks
from bridge.errors import NotFound
from bridge.stores import transcripts
from bridge.stores.lost_nodes import not_live
from bridge.wire.iso8601 import iso8601

_COLUMNS: Final = (
    "call_id, line, from_party, to_party, channel, created_at, seconds, is_read, transcription, "
    "recording_id, expires_at"
)
_RECEIVED: Final = "recording_id IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Voicemail:
    """One caller's message."""

    call_id: CallId
    line: LineName
    from_: str
    """A number with `+`, or an identifier; so is `to`."""
    to: str
    channel: str
    """How the caller called: `whatsapp`, `pstn` or `webrtc`."""
    created_at: str
    seconds: float = 0.0
    is_read: bool = False
    transcription: str | None = None
    recording_id: str | None = None
    """None until the message is complete."""
    expires_at: str | None = None


class VoicemailStore:
    """The voicemails in the database that all nodes share."""

    def __init__(self, database: Database) -> None:
        """Create the table if needed."""
        self._database = database

    async def begin(self, voicemail: Voicemail) -> None:
        """Insert a message that is about to be recorded."""
        row = astuple(voicemail)
        statement = f"INSERT INTO voicemails ({_COLUMNS}) VALUES {marks(row)}"  # noqa: S608

        def work(db: Connection) -> None:
            db.execute("DELETE FROM voicemails WHERE call_id = ?", (voicemail.call_id,))
            db.execute(statement, row)

        await self._database.run(work)

    async def complete(self, recording: Recording) -> Voicemail | None:
        """Attach a recording to its message; None if there is no such message, or it has one."""
        values = (
            recording.recording_id,
            recording.seconds,
            recording.expires_at,
            recording.call_id,
        )

        def work(db: Connection) -> Voicemail | None:
            changed = db.execute(
                "UPDATE voicemails SET recording_id = ?, seconds = ?, expires_at = ? "
                "WHERE call_id = ? AND recording_id IS NULL",
                values,
            )
            found = _select(db, "call_id = ?", (recording.call_id,))
            return found[0] if changed.rowcount else None

        return await self._database.run(work)

    async def is_pending(self, call_id: CallId) -> bool:
        """Return whether a call has a message without a recording."""
        return bool(await self._find("call_id = ? AND recording_id IS NULL", call_id))

    async def pending(self, share: Mapping[str, str], before: str) -> list[Voicemail]:
        """Return messages of a share (`stores.share.Share.of_all`) without a recording.

        Those of the process's own calls only if they began before a time.
        """
        where = (
            "recording_id IS NULL AND instr(:others, substr(call_id, 1, 2)) = 0 AND "
            f"(created_at <= :before OR substr(call_id, 1, 2) <> :own) AND {not_live('voicemails')}"
        )
        values = {**share, "before": before}
        return await self._database.read(_select, where, values)

    async def page(
        self, line: LineName, *, unread: bool = False, limit: int, offset: int
    ) -> tuple[list[Voicemail], int]:
        """Return a page of a line's voicemails, newest first, and their number."""
        where = f"line = ? AND {_RECEIVED}" + (" AND is_read = 0" if unread else "")

        def work(db: Connection) -> tuple[list[Voicemail], int]:
            order = f"{where} ORDER BY created_at DESC, call_id DESC LIMIT ? OFFSET ?"
            count = count_rows(db, f"voicemails WHERE {where}", (line,))
            return _select(db, order, (line, limit, offset)), count

        return await self._database.read(work)

    async def find(self, line: LineName, call_id: str) -> Voicemail:
        """Return a voicemail.

        Raises:
            NotFound: the line has none of this call.
        """
        found = await self.of_call(line, call_id)
        if found is None:
            raise NotFound("voicemail not found")
        return found

    async def of_call(self, line: LineName, call_id: str) -> Voicemail | None:
        """Return the voicemail of a call; None if it has none."""
        found = await self._find(f"line = ? AND call_id = ? AND {_RECEIVED}", line, call_id)
        return found[0] if found else None

    async def mark(self, line: LineName, call_id: str, *, is_read: bool) -> Voicemail:
        """Mark a voicemail as read or unread; raises as `find`."""
        await self._update("is_read = ?", int(is_read), line, call_id)
        return await self.find(line, call_id)

    async def transcribed(self, line: LineName, call_id: str, text: str) -> Voicemail:
        """Keep a message's transcription; raises as `find`."""
        await self._update("transcription = ?", text, line, call_id)
        return await self.find(line, call_id)

    async def delete(self, line: LineName, call_id: str) -> None:
        """Delete a voicemail, if there is one, and what was said in it; its recording is left to the caller."""
        statement = "DELETE FROM voicemails WHERE line = ? AND call_id = ?"

        def work(db: Connection) -> None:
            if db.execute(statement, (line, call_id)).rowcount:
                transcripts.delete(db, call_id)

        await self._database.run(work)

    async def sweep(self) -> int:
        """Delete the voicemails whose recordings have expired; return how many there were."""
        now = iso8601(datetime.now(UTC))
        statement = "DELETE FROM voicemails WHERE expires_at < ?"
        return await self._database.run(lambda db: db.execute(statement, (now,)).rowcount)

    async def _update(self, change: str, value: object, line: LineName, call_id: str) -> None:
        statement = f"UPDATE voicemails SET {change} WHERE line = ? AND call_id = ? AND {_RECEIVED}"  # noqa: S608
        row = (value, line, call_id)
        await self._database.run(lambda db: db.execute(statement, row).rowcount)

    async def _find(self, where: str, *values: str) -> list[Voicemail]:
        return await self._database.read(_select, where, values)


def _select(db: Connection, where: str, values: Values) -> list[Voicemail]:
    rows = db.execute(f"SELECT {_COLUMNS} FROM voicemails WHERE {where}", values)  # noqa: S608
    return [
        replace(found, is_read=bool(found.is_read)) for found in (Voicemail(*row) for row in rows)
    ]
