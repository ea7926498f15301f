"""Searching recordings: one per call, with its parties, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge.audio.file.formats import WAV
from bridge.call.model import LineName
from bridge.db.database import Connection, Database
from bridge.errors import NotFound

WANTED: Final = "recordings.line = :line AND kind = 'mixed' AND status = 'completed'"
"""Condition: the mixed track is the call's recording."""
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
"""Hexadecimal digits of an id used for its number: JavaScript integers have 53 bits."""
_ID: Final = "rec_"


@dataclass(frozen=True, slots=True)
class Search:
    """Search conditions; empty fields are ignored."""

    from_date: str = ""
    """Earliest day, as an ISO 8601 prefix."""
    to_date: str = ""
    """Latest day."""
    from_: str = ""
    to: str = ""
    call_id: str = ""
    numbers: Sequence[str] = ()
    """Either party is one of these."""


@dataclass(frozen=True, slots=True)
class Found:
    """A recording that was found."""

    recording_id: str
    call_id: str
    started_at: str
    seconds: float
    from_: str
    to: str

    @property
    def number(self) -> int:
        """The id as an integer, for APIs with numeric ids."""
        return int(self.recording_id.removeprefix(_ID)[:DIGITS], 16)


class RecordingSearch:
    """Searches the recordings of all lines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, line: LineName, search: Search, *, limit: int, offset: int
    ) -> tuple[list[Found], int]:
        """Return a page of a line's recordings, and the total number."""
        conditions, values = _conditions(search)
        parameters = {"line": line, "limit": limit, "offset": offset, **values}
        where = " AND ".join((WANTED, *conditions))

        def work(db: Connection) -> tuple[list[Found], int]:
            rows = db.execute(
                f"SELECT {_COLUMNS} {_FROM} WHERE {where} "
                "ORDER BY started_at DESC LIMIT :limit OFFSET :offset",
                parameters,
            ).fetchall()
            [total] = db.execute(f"SELECT COUNT(*) {_FROM} WHERE {where}", parameters).fetchone()
            return [Found(*row) for row in rows], int(total)

        return await self._database.read(work)

    async def by_number(self, line: LineName, number: int) -> Found:
        """Return a line's recording by its number.

        Raises:
            NotFound: The line has none with this number.
        """
        first = f"{_ID}{number:0{DIGITS}x}"
        # Sorts after every id that begins like the first.
        condition = "recordings.recording_id >= :first AND recordings.recording_id < :beyond"
        return await self._one(line, condition, first=first, beyond=first + "~")

    async def of_call(self, line: LineName, call_id: str) -> Found:
        """Return the latest recording of a line's call.

        Raises:
            NotFound: The call has none.
        """
        return await self._one(line, "call_id = :call", call=call_id)

    async def _one(self, line: LineName, condition: str, **values: str) -> Found:
        query = (
            f"SELECT {_COLUMNS} {_FROM} WHERE {WANTED} AND {condition} "
            "ORDER BY started_at DESC LIMIT 1"
        )
        parameters = {"line": line, **values}
        row = await self._database.read(lambda db: db.execute(query, parameters).fetchone())
        if row is None:
            raise NotFound("recording not found")
        return Found(*row)


def _conditions(search: Search) -> tuple[list[str], dict[str, str]]:
    values = {
        "started_at >= :from_date": search.from_date,
        # Sorts after every time of that day.
        "started_at <= :to_date": search.to_date and search.to_date + "~",
        "from_party = :from_party": search.from_,
        "to_party = :to_party": search.to,
        "call_id = :call": search.call_id,
    }
    conditions = [condition for condition, value in values.items() if value]
    parameters = {condition.rpartition(":")[2]: value for condition, value in values.items()}
    if search.numbers:
        names = {f"number{index}": number for index, number in enumerate(search.numbers)}
        listed = ", ".join(f":{name}" for name in names)
        conditions.append(f"(from_party IN ({listed}) OR to_party IN ({listed}))")
        parameters |= names
    return conditions, parameters
