"""Metrics of HTTP connections and of rejected unauthenticated requests."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from bridge.metrics.labels import OTHER, closed

CUT_REASONS: Final = ("slow_reader", "no_room", "refused", "no_descriptor", OTHER)
"""At the connection limit, `no_room` closes an unauthenticated connection for a new one and `refused`
rejects the new one; `slow_reader` read its response too slowly; `no_descriptor`: out of descriptors."""
STRANGER_REASONS: Final = (
    "too_many",
    "wrong_key",
    "too_many_wrong_keys",
    "no_signature",
    "bad_signature",
    "slow_body",
    OTHER,
)
"""Why an unauthenticated request was rejected."""


class HttpMetrics:
    """HTTP metrics of one node."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._open = Gauge("bridge_http_connections", "Open HTTP connections.", registry=registry)
        self._cut = Counter(
            "bridge_http_connections_cut_total",
            "HTTP connections closed by the bridge or not accepted.",
            ["reason"],
            registry=registry,
        )
        self._strangers = Counter(
            "bridge_http_strangers_refused_total",
            "Requests rejected without a valid key.",
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
        """Count a connection closed or not accepted (`CUT_REASONS`)."""
        self._cut.labels(closed(reason, CUT_REASONS)).inc()

    def stranger_refused(self, reason: str) -> None:
        """Count a rejected request without a valid key (`STRANGER_REASONS`)."""
        self._strangers.labels(closed(reason, STRANGER_REASONS)).inc()
