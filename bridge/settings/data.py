"""Where the bridge keeps what outlives a request."""

from typing import Final

from bridge.errors import SettingsError
from bridge.settings.section import Positive, PositiveCount, Section

SCHEMES: Final = ("postgresql://", "postgres://")


class Data(Section, frozen=True):
    """What the bridge writes."""

    dir: str = "data"
    """Folder of this machine for everything that is no database: recordings, assets, sockets; and for the database
    where `url` is empty."""
    url: str = ""
    """The database that several machines share: `postgresql://user:password@host:5432/name`, with
    `?sslmode=verify-full&sslrootcert=/path/ca.pem` for TLS. PostgreSQL 13 or later, its own database. Empty: a SQLite file in
    `dir`."""
    connections: PositiveCount = 4
    """PostgreSQL: connections of each node for reading, beside the one that writes."""
    statement_seconds: Positive = 10.0
    """PostgreSQL: after this long without its answer to a statement the server counts as unreachable."""


def check_data(data: Data) -> None:
    """Refuse a URL of another kind, without showing it: it may have a password."""
    if data.url and not data.url.startswith(SCHEMES):
        raise SettingsError(
            "data.url must begin with postgresql:// (empty: a SQLite file in data.dir)"
        )
