"""Metrics of the HTTP service: its connections, and what strangers were refused."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from bridge.metrics.labels import OTHER, closed

CUT_REASONS: Final = ("slow_reader", "no_room", "refused", "no_descriptor", OTHER)
"""`slow_reader` = took too little of an answer, `no_room` = of a stranger, for a new connection at the
limit, `refused` = new at the limit with no stranger to cut, `no_descriptor` = the process had none."""
STRANGER_REASONS: Final = (
    "too_many",
    "wrong_key",
    "too_many_wrong_keys",
    "no_signature",
    "bad_signature",
    "slow_body",
    OTHER,
)
"""Why a request without a right key was refused."""


class HttpMetrics:
    """What one node counts of its HTTP connections."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._open = Gauge(
            "bridge_http_connections", "HTTP connections that are open.", registry=registry
        )
        self._cut = Counter(
            "bridge_http_connections_cut_total",
            "HTTP connections that were cut off or not accepted.",
            ["reason"],
            registry=registry,
        )
        self._strangers = Counter(
            "bridge_http_strangers_refused_total",
            "Requests refused to those without a right key.",
            ["reason"],
            registry=registry,
        )
        for reason in CUT_REASONS:
            self._cut.labels(reason)
        for reason in STRANGER_REASONS:
            self._strangers.labels(reason)

    def set_connections(self, count: int) -> None:
        """Set how many connections are open."""
        self._open.set(count)

    def connection_cut(self, reason: str) -> None:
        """Count a connection that was cut off or not accepted (`CUT_REASONS`)."""
        self._cut.labels(closed(reason, CUT_REASONS)).inc()

    def stranger_refused(self, reason: str) -> None:
        """Count a request without a right key that was refused (`STRANGER_REASONS`)."""
        self._strangers.labels(closed(reason, STRANGER_REASONS)).inc()
