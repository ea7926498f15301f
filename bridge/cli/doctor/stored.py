"""What the bridge's database has, read beside a bridge that may run."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from bridge.db.database import Connection, Session
from bridge.db.postgres import Postgres
from bridge.db.sqlite import FILE, SqliteSession
from bridge.errors import DatabaseFailed, SetupError
from bridge.settings.model import Data
from bridge.stores import secret

SECONDS: Final = 5.0

Found = TypeVar("Found")


def read(data: Data, query: Callable[[Connection], Found], missing: Found) -> Found:
    """Return what a query finds in the database as it is; `missing` where it cannot be asked. Blocks.

    The check of the database says what is wrong with it.
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
        return Postgres(data.url, statement_seconds=SECONDS).connect()
    path = Path(data.dir) / FILE
    if not path.exists():
        return None
    uri = f"file:{quote(str(path))}?mode=ro"
    return SqliteSession(sqlite3.connect(uri, uri=True, timeout=SECONDS, isolation_level=None))
