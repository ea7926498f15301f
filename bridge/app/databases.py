"""The database of the settings: a SQLite file below the data folder, or a PostgreSQL server."""

from pathlib import Path

from bridge.db.database import Database, Engine
from bridge.db.postgres import Postgres
from bridge.db.spool import FOLDER
from bridge.db.sqlite import FILE, Sqlite
from bridge.metrics.registry import Metrics
from bridge.settings.model import Data


def engine_of(data: Data, *, durable: bool = True, migrated: bool = False) -> Engine:
    """Return the engine that the settings name; not `durable`: for what a power cut may lose.

    `migrated` is whether this process has opened the database before.
    """
    if data.url:
        seconds = data.statement_seconds
        return Postgres(data.url, statement_seconds=seconds, durable=durable, migrated=migrated)
    return Sqlite(Path(data.dir) / FILE, durable=durable)


def build_database(data: Data, metrics: Metrics, *, migrated: bool = False) -> Database:
    """Open the database within the running loop; `migrated` as for `engine_of`.

    Raises:
        SetupError: it cannot be opened.
    """
    return Database(
        engine_of(data, migrated=migrated),
        on_failure=metrics.node.database_failed,
        spool=Path(data.dir) / FOLDER,
        readers=data.connections,
        metrics=metrics.database,
    )
