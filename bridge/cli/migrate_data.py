"""`media-bridge migrate-data`: moves everything in the database to another one, of either engine."""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bridge.app.databases import engine_of
from bridge.db import folder_lock, postgres_setup, sqlite, table_copy
from bridge.db.migrations import Dialect
from bridge.db.postgres import Postgres
from bridge.db.schema import MIGRATIONS
from bridge.db.session import Session
from bridge.db.spool import FOLDER, Spool
from bridge.db.sqlite import SqliteSession
from bridge.db.table_copy import Place
from bridge.errors import DatabaseFailed, SetupError
from bridge.settings import model
from bridge.settings.data import SCHEMES, Data

STATEMENT_SECONDS: Final = 60.0
_CLEAR_LINE: Final = "\r\x1b[K"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    what = "a data folder, or the URL of a PostgreSQL database"
    parser.add_argument("--from", dest="source", help=f"{what} (default: data.dir of the settings)")
    parser.add_argument("--to", dest="target", help=f"{what} (default: data.url of the settings)")


def run(arguments: argparse.Namespace) -> int:
    """Move the data; return the exit code.

    Raises:
        SetupError: it cannot be moved; the text says what to do. The target has no data then.
    """
    data = model.load(os.environ, arguments.config).data
    source, target = arguments.source or data.dir, arguments.target or data.url
    if not target:
        raise SetupError("say where to: --to URL, or data.url in the settings")
    copied = move(_data(source, data.dir), _data(target, data.dir))
    for name, count in copied.items():
        sys.stdout.write(f"{name:24}{count:>12}\n")
    where = _shown(_data(target, data.dir))
    sys.stdout.write(f"moved {sum(copied.values())} rows to {where}\n")
    return 0


def move(source: Data, target: Data) -> dict[str, int]:
    """Copy everything to an empty database; return the numbers of rows by table.

    With a URL `dir` is the data folder of this machine's bridge.

    Raises:
        SetupError: as `run`.
    """
    if source == target:
        raise SetupError("--from and --to are the same")
    with contextlib.ExitStack() as stack:
        for folder in {Path(source.dir), Path(target.dir)}:
            stack.enter_context(folder_lock.alone(folder))
            _check_spool(folder)
        try:
            found = stack.enter_context(_opened(source))
            _check_source(found, source)
            _check_target(target)
            # With all tables, which it may not have had.
            session = stack.enter_context(contextlib.closing(engine_of(target).open()))
            return _copied(found, Place(session, _dialect(target)))
        except DatabaseFailed as error:
            notes = " ".join(getattr(error, "__notes__", []))
            raise SetupError(f"a database has failed: {error} {notes}".rstrip()) from error


def _check_spool(folder: Path) -> None:
    spool = Spool(folder / FOLDER)
    with contextlib.closing(spool):
        try:
            spool.adopt()
        except DatabaseFailed as error:
            raise SetupError(
                f"a file in {folder / FOLDER} cannot be read ({error.__cause__}); mend it, or move it away: what is in "
                "it is not moved"
            ) from error
        if spool.waiting:
            raise SetupError(
                f"{spool.waiting} events in {folder / FOLDER} wait for the PostgreSQL database; start the bridge with it "
                "once more, stop it, and try again"
            )


def _copied(source: Place, target: Place) -> dict[str, int]:
    total = table_copy.counts(source)
    try:
        return table_copy.copy(source, target, lambda name, done: _show(name, done, total[name]))
    except BaseException:
        with contextlib.suppress(DatabaseFailed):
            table_copy.empty(target)
        raise
    finally:
        if sys.stderr.isatty():
            sys.stderr.write(_CLEAR_LINE)


def _check_source(place: Place, data: Data) -> None:
    version = table_copy.version(place.session)
    if version != len(MIGRATIONS):
        raise SetupError(
            f"{_shown(data)} has tables of another version of the bridge ({version or 'none'}, this one has "
            f"{len(MIGRATIONS)}); start this version once with it, stop it, and try again"
        )
    table_copy.check_idle(place)


def _check_target(data: Data) -> None:
    """Check that there is no data in a database, which may lack the tables."""
    if not data.url and not (Path(data.dir) / sqlite.FILE).exists():
        return
    with _opened(data) as place:
        version = table_copy.version(place.session)
        if version is None:
            return
        if version != len(MIGRATIONS):
            raise SetupError(
                f"{_shown(data)} has tables of another version of the bridge; use an empty database"
            )
        full = [name for name, count in table_copy.counts(place).items() if count]
        if full:
            what = "use an empty database" if data.url else f"move its {sqlite.FILE} away"
            raise SetupError(f"{_shown(data)} has data already (table {full[0]}); {what}")


@contextlib.contextmanager
def _opened(data: Data) -> Iterator[Place]:
    """Open a database as it is."""
    with contextlib.closing(_open(data)) as session:
        yield Place(session, _dialect(data))


def _open(data: Data) -> Session:
    if data.url:
        session = Postgres(data.url, statement_seconds=STATEMENT_SECONDS).connect()
        postgres_setup.check(session)
        return session
    path = Path(data.dir) / sqlite.FILE
    if not path.exists():
        raise SetupError(f"there is no {sqlite.FILE} in {data.dir}")
    return SqliteSession(sqlite.connect(path, synchronous="FULL"))


def _dialect(data: Data) -> Dialect:
    return "postgresql" if data.url else "sqlite"


def _data(place: str, folder: str) -> Data:
    if place.startswith(SCHEMES):
        return Data(dir=folder, url=place, statement_seconds=STATEMENT_SECONDS)
    return Data(dir=place)


def _shown(data: Data) -> str:
    """Return a name of the place without its password."""
    parts = urlsplit(data.url)
    return f"{parts.path[1:]} on {parts.hostname or 'this machine'}" if data.url else data.dir


def _show(name: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"{_CLEAR_LINE}{name}: {done} of {total}")
        sys.stderr.flush()
