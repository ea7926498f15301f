"""What stops the bridge from using a PostgreSQL database, said so that somebody can mend it."""

import contextlib
import logging
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import asyncpg

from bridge.db import migrations
from bridge.db.session import Session
from bridge.errors import DatabaseFailed, DatabaseLost, SetupError

log = logging.getLogger(__name__)

OLDEST: Final = 13
"""The oldest major version of PostgreSQL that is tested with."""
WAIT_SECONDS: Final = 10.0
"""How long a start waits for the server."""
RETRY_SECONDS: Final = 0.5
ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    ValueError,
)
"""What asyncpg raises."""
_REFUSED: Final[tuple[tuple[type[Exception], str], ...]] = (
    (asyncpg.InvalidPasswordError, "the server refuses the password"),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "the server refuses the user, or a connection from here without TLS (pg_hba.conf)",
    ),
    (
        asyncpg.InvalidCatalogNameError,
        "there is no such database; create it (CREATE DATABASE ... OWNER ...)",
    ),
    (
        asyncpg.InsufficientPrivilegeError,
        "the user may not create tables there; make it the owner of the database",
    ),
    (
        ssl.SSLCertVerificationError,
        "the server's certificate is not valid for its name, or of no known authority (sslrootcert)",
    ),
    (ssl.SSLError, "TLS with the server has failed"),
    (
        asyncpg.ClientConfigurationError,
        "this is no URL of PostgreSQL (postgresql://user:password@host:5432/database), or it names files for TLS "
        "that cannot be read: sslmode=verify-full needs sslrootcert=/path/ca.pem",
    ),
)
"""Errors that do not pass by themselves; the server's own texts may have secrets."""
_SERVER_VERSION: Final = "SELECT CAST(current_setting('server_version_num') AS integer)"
_TABLES: Final = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.relname LIMIT 1
"""
"""A table of the schema, of no extension."""
_MARKER: Final = """
SELECT current_schema(), EXISTS (
    SELECT 1 FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = 'bridge_schema'
    AND column_name = 'application' AND column_default LIKE ?
)
"""


Opened = TypeVar("Opened", bound=Session)


def wait(connect: Callable[[], Opened]) -> Opened:
    """Connect, for `WAIT_SECONDS` again and again.

    Raises:
        SetupError: the server refuses us, or cannot be reached.
    """
    until = time.monotonic() + WAIT_SECONDS
    waits = False
    while True:
        try:
            return connect()
        except DatabaseLost as error:
            reason = "".join(getattr(error, "__notes__", []))
            if time.monotonic() >= until:
                raise SetupError(
                    f"data.url: the database server cannot be reached ({reason}); start it, or correct the "
                    "host and port"
                ) from None
            if not waits:
                log.warning("database.waiting", extra={"reason": reason, "seconds": WAIT_SECONDS})
                waits = True
        time.sleep(RETRY_SECONDS)


def check(session: Session) -> int:
    """Check that the server can be used, and that the database is the bridge's, or empty; return the server's version.

    Raises:
        SetupError: it is too old, or the database is another program's.
    """
    [number] = session.execute(_SERVER_VERSION).fetchone()
    if (major := number // 10_000) < OLDEST:
        raise SetupError(
            f"data.url: the server is PostgreSQL {major}; the bridge needs {OLDEST} or later"
        )
    # First the tables: another machine that starts may commit them between the two, with the marker.
    other = session.execute(_TABLES).fetchone()
    [schema, ours] = session.execute(_MARKER, (f"%{migrations.MARKER}%",)).fetchone()
    if schema is None:
        raise SetupError(
            "data.url: the user's search_path names no schema that exists; create one (CREATE SCHEMA ...)"
        )
    if other and not ours:
        raise SetupError(
            f'data.url: the database has tables of another program ("{other[0]}" in the schema "{schema}") and '
            "none of the bridge's; create a database for the bridge alone, and name it in data.url"
        )
    return int(major)


def migrate(session: Session) -> None:
    """Check that the database is ours, or empty, and bring its tables into their present form.

    Raises:
        SetupError: it is another program's, a newer bridge's, or the user may not make tables.
    """
    try:
        check(session)
        migrations.migrate(session, "postgresql")
    except DatabaseFailed as error:
        reason = " ".join(getattr(error, "__notes__", []))
        if reason.startswith(asyncpg.InsufficientPrivilegeError.__name__):
            raise SetupError(
                "data.url: the user may not make tables there; make it the owner of the database "
                "(ALTER DATABASE ... OWNER TO ...)"
            ) from None
        raise SetupError(f"data.url: the tables could not be made ({reason})") from None


@contextlib.contextmanager
def as_setup_errors() -> Iterator[None]:
    """Raise what does not pass by itself as a `SetupError`, and other failures to connect as `DatabaseLost`."""
    try:
        yield
    except ERRORS as error:
        for kind, sentence in _REFUSED:
            if isinstance(error, kind):
                raise SetupError(f"data.url: {sentence}") from None
        if type(error) is ConnectionError:
            raise SetupError(
                "data.url: the server offers no TLS; set `ssl = on` there, or sslmode=prefer in the URL"
            ) from None
        lost = DatabaseLost("the database cannot be reached")
        lost.add_note(getattr(error, "strerror", None) or type(error).__name__)
        raise lost from None
