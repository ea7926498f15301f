"""The tables of transcripts; every function runs in a transaction of `Database`.

Phrases are rows while a transcript is made, so that a process that is killed loses none of them; those of
a finished one are compressed into its row.
"""

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Final

import msgspec

from bridge.call.transcript import (
    UNFINISHED,
    Phrase,
    Transcribe,
    Transcript,
    TranscriptStatus,
    in_order,
)
from bridge.db.database import Connection, count_rows
from bridge.stores.lost_nodes import not_live

_FIELDS: Final = tuple(field.name for field in fields(Transcript))
_OPEN: Final = ", ".join(f"'{status}'" for status in sorted(UNFINISHED))
_OWN: Final = "instr(:others, substr(call_id, 1, 2)) = 0"
"""Condition: a call of a process's share, or of none that lives (`stores.share.Share.of_all`)."""


@dataclass(frozen=True, slots=True)
class Job:
    """A call to transcribe."""

    call_id: str
    line: str
    callback_url: str = ""
    """Is told of the end; empty for none."""


def insert(
    connection: Connection,
    job: Job,
    *,
    mode: Transcribe,
    status: TranscriptStatus,
    now: float,
) -> None:
    """Begin a transcript, in place of a finished one."""
    delete(connection, job.call_id)
    connection.execute(
        "INSERT INTO transcripts (call_id, line, mode, status, requested_at, due_at, callback_url) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (job.call_id, job.line, mode.value, status.value, now, now, job.callback_url),
    )


def keep_metas(
    connection: Connection, job: Job, phrases: Collection[Phrase], *, now: float, failure: str = ""
) -> Transcript | None:
    """Insert and return a transcript of Meta's, or why there is none; None if the call has one."""
    known = find(connection, job.call_id)
    if known is not None and (failure or known.status is not TranscriptStatus.FAILED):
        return None
    insert(connection, job, mode=Transcribe.AFTER, status=TranscriptStatus.WAITING, now=now)
    connection.execute("UPDATE transcripts SET source = 'meta' WHERE call_id = ?", (job.call_id,))
    return _close(connection, job.call_id, in_order(phrases), now=now, failure=failure)


def unfinished(connection: Connection, line: str) -> int:
    """Return how many transcripts of a line are not finished."""
    which = f"transcripts WHERE status IN ({_OPEN}) AND line = ?"
    return count_rows(connection, which, (line,))


def add_phrase(connection: Connection, call_id: str, key: str, phrase: Phrase) -> bool:
    """Insert a phrase; return False if the transcript has been erased meanwhile."""
    added = connection.execute(
        "INSERT INTO transcript_phrases (key, phrase, call_id) "
        "SELECT ?, ?, call_id FROM transcripts WHERE call_id = ? "
        "ON CONFLICT (call_id, key) DO UPDATE SET phrase = excluded.phrase",
        (key, msgspec.json.encode(phrase), call_id),
    )
    connection.execute("UPDATE transcripts SET attempts = 0 WHERE call_id = ?", (call_id,))
    return bool(added.rowcount)


def keys(connection: Connection, call_id: str) -> set[str]:
    """Return the keys of the phrases that a transcript has already."""
    rows = connection.execute("SELECT key FROM transcript_phrases WHERE call_id = ?", (call_id,))
    return {key for (key,) in rows}


def count_missing(connection: Connection, call_id: str) -> None:
    """Count a phrase that was not transcribed."""
    connection.execute("UPDATE transcripts SET missing = missing + 1 WHERE call_id = ?", (call_id,))


def release(connection: Connection, call_id: str, now: float) -> None:
    """Let a recording be transcribed: its call has ended."""
    connection.execute(
        "UPDATE transcripts SET status = 'waiting', due_at = ? "
        "WHERE call_id = ? AND status = 'recording'",
        (now, call_id),
    )


def recover(
    connection: Connection, own: Mapping[str, str], *, began: float, now: float
) -> list[str]:
    """Release what processes left that are no more; return the calls that were transcribed live.

    Of the calls with this process's number, only those of before it `began` are such.
    """
    values = {**own, "began": began, "now": now}
    left = (
        f"{_OWN} AND (substr(call_id, 1, 2) <> :own OR requested_at < :began) "
        f"AND {not_live('transcripts')}"
    )
    connection.execute(
        f"UPDATE transcripts SET status = 'waiting', due_at = :now WHERE status = 'recording' AND {left}",  # noqa: S608
        values,
    )
    rows = connection.execute(
        f"SELECT call_id FROM transcripts WHERE status = 'live' AND {left}",  # noqa: S608
        values,
    )
    return [call_id for (call_id,) in rows]


def next_job(
    connection: Connection,
    own: Mapping[str, str],
    *,
    now: float,
    busy: Collection[str],
    lines: Collection[str],
) -> Job | None:
    """Return a node's next job that is due, not one of the calls in `busy` or of the `lines`."""
    row = connection.execute(
        "SELECT call_id, line, callback_url FROM transcripts "  # noqa: S608
        f"WHERE status = 'waiting' AND due_at <= :now AND {_OWN} "
        f"AND NOT ({_among('call_id', busy)} OR {_among('line', lines)}) ORDER BY due_at LIMIT 1",
        {**own, "now": now, **_named("call_id", busy), **_named("line", lines)},
    ).fetchone()
    return None if row is None else Job(*row)


def attempts(connection: Connection, call_id: str) -> int:
    """Return how often a job has failed since its last phrase."""
    row = connection.execute(
        "SELECT attempts FROM transcripts WHERE call_id = ?", (call_id,)
    ).fetchone()
    return int(row[0]) if row else 0


def postpone(connection: Connection, call_id: str, *, due_at: float, failed: bool) -> None:
    """Try a job again later; count the attempt if it has failed."""
    connection.execute(
        "UPDATE transcripts SET due_at = ?, attempts = attempts + ? WHERE call_id = ?",
        (due_at, int(failed), call_id),
    )


def finish(
    connection: Connection, call_id: str, *, now: float, failure: str = ""
) -> Transcript | None:
    """Finish a transcript and return it; None if it has been erased, or was finished before."""
    phrases = in_order(_loose(connection, call_id))
    return _close(connection, call_id, phrases, now=now, failure=failure)


def _close(
    connection: Connection, call_id: str, phrases: Collection[Phrase], *, now: float, failure: str
) -> Transcript | None:
    status = TranscriptStatus.FAILED if failure else TranscriptStatus.COMPLETED
    changed = connection.execute(
        "UPDATE transcripts SET status = ?, finished_at = ?, failure = ?, phrases = ? "  # noqa: S608
        f"WHERE call_id = ? AND status IN ({_OPEN})",
        (status.value, now, failure, zlib.compress(msgspec.json.encode(phrases)), call_id),
    )
    if not changed.rowcount:
        return None
    connection.execute("DELETE FROM transcript_phrases WHERE call_id = ?", (call_id,))
    return find(connection, call_id)


def find(connection: Connection, call_id: str, line: str | None = None) -> Transcript | None:
    """Return a transcript; None if there is none, or it is another line's (None: of any line).

    Raises:
        msgspec.ValidationError: a newer version wrote it.
    """
    row = connection.execute(
        f"SELECT {', '.join(_FIELDS)} FROM transcripts "  # noqa: S608
        "WHERE call_id = ?1 AND line = coalesce(?2, line)",
        (call_id, line),
    ).fetchone()
    if row is None:
        return None
    found = dict(zip(_FIELDS, row, strict=True))
    if (packed := found["phrases"]) is None:
        found["phrases"] = in_order(_loose(connection, call_id))
    else:
        found["phrases"] = msgspec.json.decode(zlib.decompress(packed), type=tuple[Phrase, ...])
    return msgspec.convert(found, Transcript)


def delete(connection: Connection, call_id: str) -> None:
    """Delete a call's transcript."""
    connection.execute("DELETE FROM transcripts WHERE call_id = ?", (call_id,))
    connection.execute("DELETE FROM transcript_phrases WHERE call_id = ?", (call_id,))


def waiting(connection: Connection, own: Mapping[str, str]) -> int:
    """Return how many jobs of a node wait."""
    return count_rows(connection, f"transcripts WHERE status = 'waiting' AND {_OWN}", own)


def forget(connection: Connection, *, requested_before: float) -> None:
    """Delete transcripts of calls whose records have expired or were never written."""
    rows = connection.execute(
        "SELECT call_id FROM transcripts WHERE requested_at < ? AND call_id NOT IN "
        "(SELECT call_id FROM call_records) LIMIT 50",
        (requested_before,),
    ).fetchall()
    for (call_id,) in rows:
        delete(connection, call_id)


def _named(column: str, values: Collection[str]) -> dict[str, str]:
    return {f"{column}_{place}": value for place, value in enumerate(values)}


def _among(column: str, values: Collection[str]) -> str:
    """Return the condition that a column has one of these values, which are passed as `_named`."""
    places = ", ".join(f":{name}" for name in _named(column, values))
    return f"{column} IN ({places})" if places else "1 = 0"


def _loose(connection: Connection, call_id: str) -> list[Phrase]:
    rows = connection.execute("SELECT phrase FROM transcript_phrases WHERE call_id = ?", (call_id,))
    return [msgspec.json.decode(phrase, type=Phrase) for (phrase,) in rows]
