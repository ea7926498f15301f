"""Metrics of the database, and of what waits for it."""

from bridge.metrics.families import Families

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class DatabaseMetrics:
    """Database metrics of one node."""

    def __init__(self, create: Families) -> None:
        self.set_up = create.gauge(
            "bridge_database_up", "Whether the database can be reached: 1 or 0."
        )
        self.set_up(1)
        self.commit_seconds = create.histogram(
            "bridge_database_commit_seconds",
            "Duration of a transaction of the writer, from its begin to its commit.",
            _SECONDS,
        )
        self.set_spooled = create.gauge(
            "bridge_database_spooled",
            "Events and records on the local disk that wait for the database.",
        )
        self.spool_dropped = create.counter(
            "bridge_database_spool_dropped_total",
            "Events and records lost because the local disk had no room for them either.",
        )
        self.spool_refused = create.counter(
            "bridge_database_spool_refused_total",
            "Events and records that the database refused after an outage; they are kept aside.",
        )
        self.set_connections = create.gauge(
            "bridge_database_connections", "Open connections to the database."
        )


def unseen() -> DatabaseMetrics:
    """Return metrics that nobody scrapes."""
    return DatabaseMetrics(Families())
