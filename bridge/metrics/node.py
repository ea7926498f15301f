"""Metrics of the process: event loop, clock, ports, database."""

from typing import Final

from bridge.metrics.families import OTHER, Families

SIBLING_REASONS: Final = (
    "malformed",
    "signature",
    "expired",
    "replayed",
    "target",
    "full",
    OTHER,
)
"""`malformed`: no signature, or a body that cannot be read; `target`: for a node that is not here; `full`: too
many signatures are remembered."""
_LAG_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)


class NodeMetrics:
    """Process metrics of one node."""

    def __init__(self, create: Families) -> None:
        self.loop_lag = create.histogram(
            "bridge_event_loop_lag_seconds", "How late the event loop runs a timer.", _LAG_SECONDS
        )
        self.set_encoder_level = create.gauge(
            "bridge_encoder_rung", "Encoder level: 0 is normal, higher levels cost less under load."
        )
        self.late_ticks = create.counter(
            "bridge_clock_late_ticks_total", "Late ticks of the 20 ms clock."
        )
        self.skipped_ticks = create.counter(
            "bridge_clock_skipped_ticks_total", "Ticks of the 20 ms clock skipped to catch up."
        )
        self.set_packet_path = create.gauge(
            "bridge_packet_path_info",
            "What handles expected packets, `compiled` code or `python`; always 1.",
            path=(),
        )
        self.set_media_ports = create.gauge(
            "bridge_media_ports", "UDP ports of the media range.", state=("used", "free")
        )
        self.database_failed = create.counter(
            "bridge_database_failures_total", "Failed database writes."
        )
        self.sibling_refused = create.counter(
            "bridge_node_requests_refused_total",
            "Requests at cluster.url that were not accepted as those of a sibling.",
            reason=SIBLING_REASONS,
        )
        self.restarted = create.counter(
            "bridge_node_restarts_total",
            "Restarts of the node, because it was stuck or lost.",
            reason=("stuck", "lost"),
        )
        self.set_draining = create.gauge(
            "bridge_node_draining",
            "Whether the node takes no new calls and exits after its last one: 1 or 0.",
        )
        self.set_nodes = create.gauge(
            "bridge_nodes",
            "Nodes of all machines that are alive, as this one knows them.",
            state=("serving", "draining"),
        )
        self.set_lease = create.gauge(
            "bridge_node_lease_seconds",
            "How long the node's lease in the database lasts unless it is renewed; 0 without one.",
        )
        self.reaper_refused = create.counter(
            "bridge_node_reaper_refused_total",
            "Times that more than half of the nodes looked dead, and none was declared so.",
        )
        self.node_lost = create.counter(
            "bridge_nodes_lost_total",
            "Lost nodes, of any machine, whose calls this node has ended.",
        )
