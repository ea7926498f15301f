"""The tables of ended calls; every function runs in a transaction of `Database`.

One row per call has what is searched and listed; the rest, which is read for one call at a time, is
compressed in a table of its own. A search reads at most `EXAMINED` rows in one transaction, since others
wait meanwhile.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import msgspec

from bridge.call.model import CallRecord, LegStatistics
from bridge.call.record.ended_call import CallReport
from bridge.call.record.quality import LegQuality
from bridge.call.record.search import CallSearch, party_key
from bridge.call.record.timeline import PackedTimeline, Timeline
from bridge.call.view import CallView
from bridge.db.database import Connection, count_rows, marks
from bridge.stores import transcripts

EXAMINED: Final = 1000
DELETED: Final = 50
"""Calls deleted in one transaction."""
_FIRST: Final = (1e12, "")
"""Stands before the newest call."""


class Cursor(NamedTuple):
    """A call's place in the order of all: newest first, by their beginning and id."""

    started_at: float
    call_id: str


@dataclass(frozen=True, slots=True)
class Page:
    """What a search found in one transaction."""

    found: list[bytes]
    """Encoded entries (`read_entry`), newest first."""
    next: Cursor | None
    """The last call examined, after which the search goes on; None at its end."""


@dataclass(frozen=True, slots=True)
class Row:
    """A call, encoded; made outside the database's thread, but for the compression."""

    entry: CallView
    record: bytes
    report: bytes
    timeline: bytes


def encode(report: CallReport, timelines: Sequence[LegQuality]) -> Row:
    """Return a call to be inserted."""
    return Row(
        entry=report.view,
        record=msgspec.json.encode(_without_figures(report.record)),
        report=msgspec.json.encode(report),
        timeline=msgspec.msgpack.encode(timelines, enc_hook=Timeline.pack),
    )


def insert_all(connection: Connection, rows: Iterable[Row]) -> None:
    """Insert ended calls, but for those that are there; the number of statements does not grow with theirs."""
    by_id = {row.entry.call_id: row for row in rows}
    columns = [_columns(row.entry) for row in by_id.values()]
    if not columns:
        return
    added = connection.executemany(
        f"INSERT INTO call_records ({', '.join(columns[0])}) VALUES {marks(columns[0])} "  # noqa: S608
        "ON CONFLICT DO NOTHING RETURNING call_id",
        [tuple(each.values()) for each in columns],
    )
    new = [by_id[call_id] for (call_id,) in added]
    problems = [
        (code, row.entry.line, *row.entry.key) for row in new for code in row.entry.problems
    ]
    if problems:
        connection.executemany(
            "INSERT INTO call_problems VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", problems
        )
    if new:
        connection.executemany(
            "INSERT INTO call_details VALUES (?, ?, ?, ?) ON CONFLICT (call_id) DO UPDATE SET "
            "record = excluded.record, report = excluded.report, timeline = excluded.timeline",
            [
                (
                    row.entry.call_id,
                    row.record,
                    zlib.compress(row.report),
                    zlib.compress(row.timeline),
                )
                for row in new
            ],
        )


def _columns(entry: CallView) -> dict[str, object]:
    at, call_id = entry.key
    over = entry.ended_at or entry.started_at
    return {
        "call_id": call_id,
        "line": entry.line,
        "started_at": at,
        "ended_at": over.timestamp(),
        "direction": entry.direction.value,
        "reason": entry.reason.value if entry.reason else "",
        "from_party": party_key(entry.from_),
        "to_party": party_key(entry.to),
        "mos": entry.mos,
        "words": entry.words,
        "entry": msgspec.json.encode(entry),
    }


def page(connection: Connection, search: CallSearch, *, after: Cursor | None, limit: int) -> Page:
    """Search from a place on, through at most `EXAMINED` calls, until `limit` have been found."""
    query, values = page_query(search, after, limit)
    rows = connection.execute(query, values).fetchall()
    found: list[bytes] = []
    for at, call_id, entry in rows:
        if entry is not None:
            found.append(entry)
        if len(found) == limit:
            return Page(found, Cursor(at, call_id))
    last = Cursor(*rows[-1][:2]) if len(rows) == values["examined"] else None
    return Page(found, last)


def page_query(
    search: CallSearch, after: Cursor | None, limit: int
) -> tuple[str, dict[str, str | float | None]]:
    """Return the query of one page and its values.

    Conditions that have an index limit which calls are examined; the others, which of these are found.
    """
    at, call_id = after or _FIRST
    values: dict[str, str | float | None] = {
        "at": at,
        "id": call_id,
        "line": search.line,
        "since": search.since,
        "until": search.until,
        "from": search.from_,
        "to": search.to,
        "reason": search.reason.value if search.reason else "",
        "code": search.problem,
        "direction": search.direction.value if search.direction else "",
        "mos": search.max_mos,
        "text": search.wanted_text,
    }
    table = "p" if search.problem else "r"
    by_age = {
        f"{table}.line = :line": search.line,
        f"{table}.started_at >= :since": search.since,
        f"{table}.started_at < :until": search.until,
        "p.code = :code": search.problem,
    }
    examined = [f"({table}.started_at, {table}.call_id) < (:at, :id)", *_asked(by_age)]
    equal = _asked(
        {
            "from_party = :from": search.from_,
            "to_party = :to": search.to,
            "reason = :reason": search.reason,
        }
    )
    if equal and not search.problem and search.line is not None:
        # Each of these has an index; with a second one the calls examined would not be bounded.
        examined.append(f"r.{equal.pop(0)}")
    without_index = {
        "direction = :direction": search.direction,
        "mos <= :mos": search.max_mos,
        "instr(words, :text) > 0": search.text,
    }
    wanted = equal + _asked(without_index)
    values["examined"] = max(limit, EXAMINED) if wanted else limit
    # Of a left join SQLite reads the left table first; each of its rows has one on the right.
    tables = (
        "call_problems p LEFT JOIN call_records r ON r.call_id = p.call_id"
        if search.problem
        else "call_records r"
    )
    return (
        f"SELECT {table}.started_at, {table}.call_id, "  # noqa: S608
        f"CASE WHEN {' AND '.join(wanted) or '1 = 1'} THEN r.entry END "
        f"FROM {tables} WHERE {' AND '.join(examined)} "
        f"ORDER BY {table}.started_at DESC, {table}.call_id DESC LIMIT :examined",
        values,
    )


def _asked(conditions: Mapping[str, object]) -> list[str]:
    """Return the conditions whose values a search has."""
    return [condition for condition, value in conditions.items() if value not in (None, "")]


def read_entry(stored: bytes) -> CallView:
    """Decode an entry.

    Raises:
        msgspec.ValidationError: a newer version wrote it.
    """
    return msgspec.json.decode(stored, type=CallView)


def read_report(connection: Connection, *, call_id: str, line: str | None) -> CallReport | None:
    """Return a call; None if there is none, or it is another line's (None: of any line).

    Raises:
        msgspec.ValidationError: a newer version wrote it.
    """
    row = connection.execute(
        "SELECT report FROM call_details JOIN call_records USING (call_id) "
        "WHERE call_id = ?1 AND line = coalesce(?2, line)",
        (call_id, line),
    ).fetchone()
    return msgspec.json.decode(zlib.decompress(row[0]), type=CallReport) if row else None


def read_timelines(connection: Connection, call_id: str) -> tuple[LegQuality, ...]:
    """Return the timelines of a call's legs; none of an unknown call."""
    row = connection.execute(
        "SELECT timeline FROM call_details WHERE call_id = ?", (call_id,)
    ).fetchone()
    if row is None:
        return ()
    packed = zlib.decompress(row[0])
    return msgspec.msgpack.decode(packed, type=tuple[LegQuality, ...], dec_hook=_timeline)


def _timeline(_: type, packed: object) -> Timeline:
    return Timeline.unpack(msgspec.convert(packed, PackedTimeline))


def delete(connection: Connection, call_id: str) -> None:
    """Delete a call and its transcript."""
    for table in ("call_records", "call_problems", "call_details"):
        connection.execute(f"DELETE FROM {table} WHERE call_id = ?", (call_id,))  # noqa: S608
    transcripts.delete(connection, call_id)


def forget(connection: Connection, *, ended_before: float) -> int:
    """Delete at most `DELETED` calls that ended before a time, in Unix seconds; return how many."""
    rows = connection.execute(
        "SELECT call_id FROM call_records WHERE ended_at < ? LIMIT ?", (ended_before, DELETED)
    ).fetchall()
    for (call_id,) in rows:
        delete(connection, call_id)
    return len(rows)


def read_records(connection: Connection, line: str, *, offset: int, limit: int) -> list[CallRecord]:
    """Return a line's calls, newest first, without the figures of their legs.

    Raises:
        msgspec.ValidationError: a newer version wrote one.
    """
    rows = connection.execute(
        "SELECT record FROM (SELECT started_at, call_id FROM call_records WHERE line = ? "
        "ORDER BY started_at DESC, call_id DESC LIMIT ? OFFSET ?) AS listed "
        "JOIN call_details USING (call_id) ORDER BY started_at DESC, call_id DESC",
        (line, limit, offset),
    )
    return [msgspec.json.decode(record, type=CallRecord) for (record,) in rows]


def count(connection: Connection, line: str) -> int:
    """Return how many calls of a line there are."""
    return count_rows(connection, "call_records WHERE line = ?", (line,))


def known(connection: Connection, call_ids: list[str]) -> set[str]:
    """Return which of these calls have ended and are here."""
    rows = connection.execute(
        f"SELECT call_id FROM call_records WHERE call_id IN {marks(call_ids)}",  # noqa: S608
        call_ids,
    )
    return {call_id for (call_id,) in rows}


def _without_figures(record: CallRecord) -> CallRecord:
    """Return a record as lists of calls need it: of its legs, only whether a browser was one."""
    browsers = [leg for leg in record.legs if leg.kind.traits.browser]
    legs = tuple(replace(leg, statistics=LegStatistics()) for leg in browsers[:1])
    return replace(record, legs=legs)
