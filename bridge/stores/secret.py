"""A secret of the bridge, generated once and kept in the database for all nodes."""

import contextlib
import hmac
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from bridge.db.database import Connection, Engine, transaction

FILE: Final = "tickets.secret"
"""Where versions before had it, below the data folder."""
BYTES: Final = 32
IDENTITY_BYTES: Final = 16
_NAME: Final = "tickets"


def shared_secret(engine: Engine, folder: Path) -> bytes:
    """Return the secret; take it over from the data folder, or generate it, if there is none.

    Concurrent processes get the same; waits for the database (start-up only).

    Raises:
        SetupError: the database cannot be used.
        DatabaseFailed: it could not be kept.
    """

    def run() -> bytes:
        with contextlib.closing(engine.open()) as session, transaction(session):
            return _take_over(session, folder)

    with ThreadPoolExecutor(1) as thread:  # of its own: an engine may have an event loop
        secret = thread.submit(run).result()
    # No longer needed, and nothing that should be read by others.
    (folder / FILE).unlink(missing_ok=True)
    return secret


def find(connection: Connection) -> bytes | None:
    """Return the secret in the database, if it has one."""
    row = connection.execute("SELECT value FROM secrets WHERE name = ?", (_NAME,)).fetchone()
    return bytes(row[0]) if row else None


def identity(secret: bytes) -> str:
    """Return what names the bridge of this secret to others; the secret cannot be found from it."""
    return hmac.digest(secret, b"identity", "sha256")[:IDENTITY_BYTES].hex()


def _take_over(connection: Connection, folder: Path) -> bytes:
    found = find(connection)
    if found is None:
        found = secrets.token_bytes(BYTES)
        with contextlib.suppress(FileNotFoundError):
            found = (folder / FILE).read_bytes()
        connection.execute("INSERT INTO secrets (name, value) VALUES (?, ?)", (_NAME, found))
    return found
