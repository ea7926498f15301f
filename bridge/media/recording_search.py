"""Finding recordings: one for each call, with who spoke with whom, newest first."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge.call.model import LineName
from bridge.errors import NotFound
from bridge.media.files import WAV
from bridge.net.database import Database

WANTED: Final = "recordings.line = :line AND kind = 'mixed' AND status = 'completed'"
"""Of a call's tracks the one that has both sides is the call's recording."""
_FROM: Final = (
    "FROM recordings LEFT JOIN recorded_calls USING (call_id) "
    "LEFT JOIN recording_files ON recording_files.recording_id = recordings.recording_id "
    f"AND recording_files.format = '{WAV}'"
)
_COLUMNS: Final = (
    "recordings.recording_id, call_id, started_at, seconds, COALESCE(from_party, ''), "
    "COALESCE(to_party, '')"
)
DIGITS: Final = 13
"""Hexadecimal digits of a recording's id that its number is made of: JavaScript reads 53 bits."""
_ID: Final = "rec_"


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; an empty field is no condition."""

    from_date: str = ""
    """As ISO 8601 begins; this day and later ones."""
    to_date: str = ""
    """This day and earlier ones."""
    from_: str = ""
    to: str = ""
    call_id: str = ""
    numbers: Sequence[str] = ()
    """Either side is one of these."""


@dataclass(frozen=True, slots=True)
class Found:
    """A call's recording."""

    recording_id: str
    call_id: str
    started_at: str
    seconds: float
    from_: str
    to: str

    @property
    def number(self) -> int:
        """The id as a whole number, for those whose ids are numbers."""
        return int(self.recording_id.removeprefix(_ID)[:DIGITS], 16)


class RecordingSearch:
    """The recordings of all lines, as they are looked for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, line: LineName, search: Search, *, limit: int, offset: int
    ) -> tuple[list[Found], int]:
        """Return a page of a line's recordings, and how many there are in all."""
        conditions, values = _conditions(search)
        known = {"line": line, "limit": limit, "offset": offset, **values}
        where = " AND ".join((WANTED, *conditions))

        def work(db: sqlite3.Connection) -> tuple[list[Found], int]:
            rows = db.execute(
                f"SELECT {_COLUMNS} {_FROM} WHERE {where} "
                "ORDER BY started_at DESC LIMIT :limit OFFSET :offset",
                known,
            ).fetchall()
            [total] = db.execute(f"SELECT COUNT(*) {_FROM} WHERE {where}", known).fetchone()
            return [Found(*row) for row in rows], int(total)

        return await self._database.run(work)

    async def numbered(self, line: LineName, number: int) -> Found:
        """Return a line's recording by its number.

        Raises:
            NotFound: the line has none with it.
        """
        prefix = f"{_ID}{number:0{DIGITS}x}"
        return await self._one(line, "recordings.recording_id GLOB :prefix", prefix=f"{prefix}*")

    async def of_call(self, line: LineName, call_id: str) -> Found:
        """Return the recording of a line's call, the latest where there are several.

        Raises:
            NotFound: the call has none.
        """
        return await self._one(line, "call_id = :call", call=call_id)

    async def _one(self, line: LineName, condition: str, **values: str) -> Found:
        wanted = (
            f"SELECT {_COLUMNS} {_FROM} WHERE {WANTED} AND {condition} "
            "ORDER BY started_at DESC LIMIT 1"
        )
        known = {"line": line, **values}
        row = await self._database.run(lambda db: db.execute(wanted, known).fetchone())
        if row is None:
            raise NotFound("there is no such recording")
        return Found(*row)


def _conditions(search: Search) -> tuple[list[str], dict[str, str]]:
    values = {
        "from_date": search.from_date,
        # Before anything that follows the day in the moments of that day.
        "to_date": search.to_date and search.to_date + "~",
        "from_party": search.from_,
        "to_party": search.to,
        "call": search.call_id,
    }
    texts = {
        "from_date": "started_at >= :from_date",
        "to_date": "started_at <= :to_date",
        "from_party": "from_party = :from_party",
        "to_party": "to_party = :to_party",
        "call": "call_id = :call",
    }
    conditions = [texts[name] for name, value in values.items() if value]
    if search.numbers:
        names = {f"number{index}": number for index, number in enumerate(search.numbers)}
        listed = ", ".join(f":{name}" for name in names)
        conditions.append(f"(from_party IN ({listed}) OR to_party IN ({listed}))")
        values |= names
    return conditions, values
