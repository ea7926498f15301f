"""Metrics of media sockets."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter

from bridge.metrics.labels import OTHER, closed

SOCKET_DIRECTIONS: Final = ("in", "out", OTHER)
"""`in`: received from the client, `out`: sent to it."""


class SocketMetrics:
    """Media socket metrics of one node; sockets are also counted as legs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._dropped = Counter(
            "bridge_socket_dropped_seconds_total",
            "Audio dropped by media sockets because their buffer was full.",
            ["direction"],
            registry=registry,
        )
        self._cut_off = Counter(
            "bridge_socket_cut_offs_total",
            "Media sockets closed because the client did not read.",
            registry=registry,
        )
        for direction in SOCKET_DIRECTIONS:
            self._dropped.labels(direction)

    def dropped(self, direction: str, seconds: float) -> None:
        """Count dropped audio (`SOCKET_DIRECTIONS`)."""
        self._dropped.labels(closed(direction, SOCKET_DIRECTIONS)).inc(seconds)

    def cut_off(self) -> None:
        """Count a socket closed because its client did not read."""
        self._cut_off.inc()
