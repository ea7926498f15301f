"""What media sockets lose."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter

from bridge.metrics.labels import OTHER, closed

SOCKET_DIRECTIONS: Final = ("in", "out", OTHER)
"""`in` = what a party at a socket sent, `out` = what it was sent."""


class SocketMetrics:
    """What media sockets lose; how many there are is told with all other legs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._dropped = Counter(
            "bridge_socket_dropped_seconds_total",
            "Sound that media sockets dropped because too much of it waited.",
            ["direction"],
            registry=registry,
        )
        self._cut_off = Counter(
            "bridge_socket_cut_offs_total",
            "Media sockets cut off because their party took nothing any more.",
            registry=registry,
        )
        for direction in SOCKET_DIRECTIONS:
            self._dropped.labels(direction)

    def dropped(self, direction: str, seconds: float) -> None:
        """Count sound that was dropped (`SOCKET_DIRECTIONS`)."""
        self._dropped.labels(closed(direction, SOCKET_DIRECTIONS)).inc(seconds)

    def cut_off(self) -> None:
        """Count a socket whose party took nothing any more."""
        self._cut_off.inc()
