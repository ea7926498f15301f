"""Metrics of the process: event loop, clock, ports, requests."""

from typing import Final

from bridge.call.model import LegStatistics
from bridge.metrics.labels import OTHER, Families, closed

DISCARD_REASONS: Final = (
    "empty",
    "oversized",
    "unknown_source",
    "unknown_kind",
    "bad_stun",
    "too_many_checks",
    "too_many_addresses",
    "dtls_overflow",
    "early_media",
    "bad_srtp",
    "replayed",
    "too_many_sources",
    "too_many_packets",
    "bad_rtp",
    "bad_rtcp",
    "unsendable",
    "bad_message",
    "too_many_marks",
    OTHER,
)
"""Why a datagram or a message was discarded: the keys of `LegStatistics.discarded`."""

QUEUES: Final = ("sent_frames", "playout", OTHER)
"""`sent_frames`: frames whose time had already been sent."""

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", OTHER)

UNMATCHED: Final = "unmatched"
"""`route` label of a request that matches no route."""

_LAG_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)

_BUS_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5)

_HTTP_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class NodeMetrics:
    """Process metrics of one node."""

    def __init__(self, create: Families) -> None:
        self.loop_lag = create.histogram(
            "bridge_event_loop_lag_seconds", "How late the event loop runs a timer.", _LAG_SECONDS
        )
        self.encoder_level = create.gauge(
            "bridge_encoder_rung", "Encoder level: 0 is normal, higher levels cost less under load."
        )
        self.bus_delay = create.histogram(
            "bridge_bus_delay_seconds",
            "Delay of the playout buffers (jitter buffers) of the bus.",
            _BUS_SECONDS,
        )
        self.concealed = create.counter(
            "bridge_bus_frames_concealed_total",
            "Frames concealed by playout buffers because none arrived in time.",
        )
        self.late_ticks = create.counter(
            "bridge_clock_late_ticks_total", "Late ticks of the 20 ms clock."
        )
        self.skipped_ticks = create.counter(
            "bridge_clock_skipped_ticks_total", "Ticks of the 20 ms clock skipped to catch up."
        )
        self.drops = create.counter(
            "bridge_drops_total", "Items dropped by full queues.", queue=QUEUES
        )
        self.discarded = create.counter(
            "bridge_datagrams_discarded_total",
            "Datagrams and messages discarded, by reason.",
            reason=DISCARD_REASONS,
        )
        self.ports = create.gauge("bridge_media_ports", "UDP ports of the media range.", state=())
        self.requests = create.counter(
            "bridge_http_requests_total", "HTTP requests.", method=(), route=(), status=()
        )
        self.request_seconds = create.histogram(
            "bridge_http_request_seconds",
            "Time to answer an HTTP request.",
            _HTTP_SECONDS,
            method=(),
            route=(),
        )
        self.database_failures = create.counter(
            "bridge_database_failures_total", "Failed database writes."
        )
        self.restarts = create.counter(
            "bridge_node_restarts_total",
            "Restarts of the node, because it was stuck or lost.",
            reason=("stuck", "lost"),
        )

    def count(self, before: LegStatistics | None, after: LegStatistics) -> None:
        """Count what a leg dropped and discarded between two reports."""
        if before is None:
            return
        self.drop("sent_frames", after.sent.dropped_frames - before.sent.dropped_frames)
        for reason, total in after.discarded.items():
            if (new := total - before.discarded.get(reason, 0)) > 0:
                self.discarded.labels(closed(reason, DISCARD_REASONS)).inc(new)

    def drop(self, queue: str, count: int) -> None:
        """Count dropped items of a queue."""
        if count > 0:
            self.drops.labels(closed(queue, QUEUES)).inc(count)
