"""Metrics of media sockets."""

from typing import Final

from bridge.metrics.labels import OTHER, Families, closed

SOCKET_DIRECTIONS: Final = ("in", "out", OTHER)
"""`in`: received from the client, `out`: sent to it."""


class SocketMetrics:
    """Media socket metrics of one node; sockets are also counted as legs."""

    def __init__(self, create: Families) -> None:
        self._dropped = create.counter(
            "bridge_socket_dropped_seconds_total",
            "Audio dropped by media sockets because their buffer was full.",
            direction=SOCKET_DIRECTIONS,
        )
        self._cut_off = create.counter(
            "bridge_socket_cut_offs_total", "Media sockets closed because the client did not read."
        )

    def dropped(self, direction: str, seconds: float) -> None:
        """Count dropped audio (`SOCKET_DIRECTIONS`)."""
        self._dropped.labels(closed(direction, SOCKET_DIRECTIONS)).inc(seconds)

    def cut_off(self) -> None:
        """Count a socket closed because its client did not read."""
        self._cut_off.inc()
