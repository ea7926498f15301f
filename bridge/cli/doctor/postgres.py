"""The PostgreSQL database of `data.url`: reached, ours, written to, and how far away it is."""

import asyncio
import time
from dataclasses import dataclass
from statistics import median
from typing import Final
from urllib.parse import parse_qs, urlsplit

from bridge.cli.doctor.findings import Finding, failed, ok, warning
from bridge.db import migrations, postgres_setup
from bridge.db.database import wall_time
from bridge.db.postgres import Postgres, PostgresSession
from bridge.db.schema import MIGRATIONS
from bridge.errors import DatabaseFailed, DatabaseLost, SetupError
from bridge.settings.http import is_loopback

CHECK: Final = "database"
SETTING: Final = "data.url"
COMMITS: Final = 9
SLOW_COMMIT_SECONDS: Final = 0.05
"""Events of a call are published once they are committed."""
LATE_SECONDS: Final = 5.0
STATEMENT_SECONDS: Final = 5.0
_VERIFIED: Final = ("verify-ca", "verify-full")
# Written to the server's log as any change is, and kept nowhere.
_COMMITTED: Final = "SELECT pg_logical_emit_message(true, 'media-bridge', 'doctor')"
_ENCRYPTED: Final = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl"


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


async def check_postgres(url: str) -> list[Finding]:
    """Connect, look, write, and take back what was written."""
    return await asyncio.to_thread(_check, url)


def _check(url: str) -> list[Finding]:
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
    return [*judge(seen), judge_encryption(url, seen.encryption)]


def look(url: str) -> Seen:
    """Return what the database shows; nothing is left in it.

    Raises:
        SetupError: it cannot be the bridge's.
        DatabaseFailed: it cannot be reached, or written to.
    """
    session = Postgres(url, statement_seconds=STATEMENT_SECONDS).connect()
    try:
        postgres_setup.check(session)
        before = wall_time()
        ahead = session.now() - (before + wall_time()) / 2
        encryption = session.execute(_ENCRYPTED).fetchone()
        [there] = session.execute("SELECT to_regclass('bridge_schema') IS NOT NULL").fetchone()
        tables = migrations.version(session) if there else 0
        _try_tables(session)
        return Seen(
            server=session.version,
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


def judge(seen: Seen) -> list[Finding]:
    """Return what was seen, and whether it is fast enough and agrees about the time."""
    tables = {
        0: "the tables will be made at the first start",
        len(MIGRATIONS): "the tables have this version's form",
    }.get(seen.tables, "the next start brings the tables into this version's form")
    found = [ok(CHECK, f"PostgreSQL {seen.server} answers and can be written; {tables}")]
    took = f"a commit takes {seen.commit_seconds * 1000:.1f} ms"
    if seen.commit_seconds < SLOW_COMMIT_SECONDS:
        found.append(ok(CHECK, took))
    else:
        found.append(
            warning(
                CHECK,
                f"{took}, which delays every event and webhook",
                setting=SETTING,
                fix="put the server near the bridge, with its write-ahead log on a fast disk",
            )
        )
    if abs(seen.ahead_seconds) >= LATE_SECONDS:
        side = "behind" if seen.ahead_seconds > 0 else "ahead of"
        found.append(
            warning(
                CHECK,
                f"this machine's clock is {abs(seen.ahead_seconds):.0f} s {side} the database's",
                fix="let both machines keep their clocks by NTP (systemd-timesyncd, chrony)",
            )
        )
    return found


def judge_encryption(url: str, encryption: str) -> Finding:
    """Return whether others could read what goes between, or answer in the server's place."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host or is_loopback(host):
        return ok(CHECK, "the connection stays on this machine")
    if not encryption:
        found = "the connection is not encrypted: the network in between sees all calls' metadata"
    elif parse_qs(parts.query).get("sslmode", [""])[-1] not in _VERIFIED:
        found = f"the connection is encrypted ({encryption}), but anybody could be the server"
    else:
        return ok(CHECK, f"the connection is encrypted ({encryption}), the server's name verified")
    return warning(
        CHECK,
        found,
        setting=SETTING,
        fix="add ?sslmode=verify-full&sslrootcert=FILE to the URL, with the certificate of the authority",
    )


def _failed(found: str, fix: str) -> Finding:
    return failed(CHECK, found, setting=SETTING, fix=fix)
