"""The database: the SQLite file of `data.dir`, or PostgreSQL at `data.url`.

Checked is whether it is ours, can be written to, and how far away it is; `read` reads it beside a bridge that may run.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

from bridge.cli.doctor.findings import Finding, failed, ok, warning
from bridge.cli.doctor.runner import Surroundings
from bridge.db import migrations, postgres_setup, sqlite
from bridge.db.database import wall_time
from bridge.db.postgres import Postgres, PostgresSession
from bridge.db.schema import MIGRATIONS
from bridge.db.session import Connection, Session
from bridge.errors import DatabaseFailed, DatabaseLost, SetupError
from bridge.settings.http import is_loopback
from bridge.settings.model import Data
from bridge.stores import secret

SETTING: Final = "data.url"
LOCK_SECONDS: Final = 5.0
COMMITS: Final = 9
SLOW_COMMIT_SECONDS: Final = 0.05
"""Events of a call are published once they are committed."""
LATE_SECONDS: Final = 5.0
STATEMENT_SECONDS: Final = 5.0
_VERIFIED: Final = ("verify-ca", "verify-full")
# Written to the server's log as any change is, and kept nowhere.
_COMMITTED: Final = "SELECT pg_logical_emit_message(true, 'media-bridge', 'doctor')"
_ENCRYPTED: Final = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl"

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a connection has shown of the database."""

    server: int
    """Major version."""
    tables: int
    """Version of the bridge's tables; 0 before the first start."""
    commit_seconds: float
    """Median."""
    ahead_seconds: float
    """By how much the server's clock is ahead of this machine's."""
    encryption: str
    """Version of TLS; empty without."""


async def check_database(around: Surroundings) -> list[Finding]:
    """Check that the database opens and can be written."""
    data = around.settings.data
    if data.url:
        return await asyncio.to_thread(check_postgres, data.url)
    return [await asyncio.to_thread(_check_sqlite, Path(data.dir) / sqlite.FILE)]


def _check_sqlite(path: Path) -> Finding:
    if not path.exists():
        return ok(f"{path} will be created at the first start")
    try:
        tables = try_database(path)
    except sqlite3.Error as error:
        return failed(
            f"{path}: {error}",
            setting="data.dir",
            fix="is the file the bridge's, may its user write it, and is the disk full? Otherwise "
            "restore it from a backup",
        )
    return ok(f"{path} can be written ({tables} tables, {path.stat().st_size / 1e6:.1f} MB)")


def try_database(path: Path) -> int:
    """Write into the database, take it back, and return how many tables there are.

    Raises:
        sqlite3.Error: it is damaged, locked or cannot be written.
    """
    connection = sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE doctor (written INTEGER)")
        connection.execute("INSERT INTO doctor VALUES (1)")
        connection.execute("ROLLBACK")
        count = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'")
        return int(count.fetchone()[0])
    finally:
        connection.close()


def check_postgres(url: str) -> list[Finding]:
    """Connect, look, write, and take back what was written; blocks."""
    try:
        seen = look(url)
    except SetupError as error:
        found, _, fix = str(error).removeprefix(f"{SETTING}: ").partition("; ")
        return [_failed(found, fix or "correct it in the URL, or on the server")]
    except DatabaseFailed as error:
        reason = " ".join([str(error), *(f"({note})" for note in getattr(error, "__notes__", []))])
        return [
            _failed(reason, "does the server run, and do firewalls between let its port through?")
        ]
    return [*evaluate(seen), evaluate_encryption(url, seen.encryption)]


def look(url: str) -> Seen:
    """Return what the database shows; nothing is left in it.

    Raises:
        SetupError: it cannot be the bridge's.
        DatabaseFailed: it cannot be reached, or written to.
    """
    session = Postgres(url, statement_seconds=STATEMENT_SECONDS).connect()
    try:
        server = postgres_setup.check(session)
        before = wall_time()
        ahead = session.now() - (before + wall_time()) / 2
        encryption = session.execute(_ENCRYPTED).fetchone()
        [there] = session.execute("SELECT to_regclass('bridge_schema') IS NOT NULL").fetchone()
        tables = migrations.version(session) if there else 0
        _try_tables(session)
        return Seen(
            server=server,
            tables=tables,
            commit_seconds=median(_commit(session) for _ in range(COMMITS)),
            ahead_seconds=ahead,
            encryption=encryption[0] if encryption else "",
        )
    finally:
        session.close()


def _try_tables(session: PostgresSession) -> None:
    """Make a table, as migrations do, and take it back."""
    session.begin()
    try:
        session.execute("CREATE TABLE bridge_doctor (written INTEGER)")
    except DatabaseLost:
        raise
    except DatabaseFailed as error:
        raise SetupError(
            f"{SETTING}: the user may not make tables there; make it the owner of the database"
        ) from error
    finally:
        session.rollback()


def _commit(session: PostgresSession) -> float:
    began = time.perf_counter()
    session.execute(_COMMITTED)
    return time.perf_counter() - began


def evaluate(seen: Seen) -> list[Finding]:
    """Return what was seen, and whether it is fast enough and agrees about the time."""
    tables = {
        0: "the tables will be made at the first start",
        len(MIGRATIONS): "the tables have this version's form",
    }.get(seen.tables, "the next start brings the tables into this version's form")
    found = [ok(f"PostgreSQL {seen.server} answers and can be written; {tables}")]
    took = f"a commit takes {seen.commit_seconds * 1000:.1f} ms"
    if seen.commit_seconds < SLOW_COMMIT_SECONDS:
        found.append(ok(took))
    else:
        found.append(
            warning(
                f"{took}, which delays every event and webhook",
                setting=SETTING,
                fix="put the server near the bridge, with its write-ahead log on a fast disk",
            )
        )
    if abs(seen.ahead_seconds) >= LATE_SECONDS:
        side = "behind" if seen.ahead_seconds > 0 else "ahead of"
        found.append(
            warning(
                f"this machine's clock is {abs(seen.ahead_seconds):.0f} s {side} the database's",
                fix="let both machines keep their clocks by NTP (systemd-timesyncd, chrony)",
            )
        )
    return found


def evaluate_encryption(url: str, encryption: str) -> Finding:
    """Return whether others could read what goes between, or answer in the server's place."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host or is_loopback(host):
        return ok("the connection stays on this machine")
    if not encryption:
        found = "the connection is not encrypted: the network in between sees all calls' metadata"
    elif parse_qs(parts.query).get("sslmode", [""])[-1] not in _VERIFIED:
        found = f"the connection is encrypted ({encryption}), but anybody could be the server"
    else:
        return ok(f"the connection is encrypted ({encryption}), the server's name verified")
    return warning(
        found,
        setting=SETTING,
        fix="add ?sslmode=verify-full&sslrootcert=FILE to the URL, with the certificate of the authority",
    )


def _failed(found: str, fix: str) -> Finding:
    return failed(found, setting=SETTING, fix=fix)


def read(data: Data, query: Callable[[Connection], Found], missing: Found) -> Found:
    """Return what a query finds in the database as it is; `missing` where it cannot be asked. Blocks.

    The check says what is wrong with it.
    """
    try:
        session = _open(data)
        if session is None:
            return missing
        with contextlib.closing(session):
            session.begin_reading()
            return query(session)
    except (DatabaseFailed, SetupError, sqlite3.Error):
        return missing


def known_identity(data: Data) -> str:
    """Return the identity of the bridge whose data this is, "" if it was never started. Blocks.

    Raises:
        OSError: the secret that a version before has kept cannot be read, for example by another user.
    """
    found = read(data, secret.find, None)
    if found is None:
        with contextlib.suppress(FileNotFoundError):
            found = (Path(data.dir) / secret.FILE).read_bytes()
    return secret.identity(found) if found else ""


def _open(data: Data) -> Session | None:
    if data.url:
        return Postgres(data.url, statement_seconds=STATEMENT_SECONDS).connect()
    path = Path(data.dir) / sqlite.FILE
    if not path.exists():
        return None
    uri = f"file:{quote(str(path))}?mode=ro"
    return sqlite.SqliteSession(
        sqlite3.connect(uri, uri=True, timeout=LOCK_SECONDS, isolation_level=None)
    )
