"""Metrics of HTTP connections and of rejected unauthenticated requests."""

from typing import Final

from bridge.metrics.labels import OTHER, Families, closed

CUT_REASONS: Final = ("slow_reader", "no_room", "refused", "no_descriptor", OTHER)
"""At the connection limit, `no_room` closes an unauthenticated connection for a new one and `refused`
rejects the new one; `slow_reader` read its response too slowly; `no_descriptor`: out of descriptors."""
UNAUTHENTICATED_REASONS: Final = (
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

    def __init__(self, create: Families) -> None:
        self._open = create.gauge("bridge_http_connections", "Open HTTP connections.")
        self._cut = create.counter(
            "bridge_http_connections_cut_total",
            "HTTP connections closed by the bridge or not accepted.",
            reason=CUT_REASONS,
        )
        self._unauthenticated = create.counter(
            "bridge_http_strangers_refused_total",
            "Requests rejected without a valid key.",
            reason=UNAUTHENTICATED_REASONS,
        )

    def set_connections(self, count: int) -> None:
        """Set how many connections are open."""
        self._open.set(count)

    def connection_cut(self, reason: str) -> None:
        """Count a connection closed or not accepted (`CUT_REASONS`)."""
        self._cut.labels(closed(reason, CUT_REASONS)).inc()

    def unauthenticated_refused(self, reason: str) -> None:
        """Count a rejected request without a valid key (`UNAUTHENTICATED_REASONS`)."""
        self._unauthenticated.labels(closed(reason, UNAUTHENTICATED_REASONS)).inc()
