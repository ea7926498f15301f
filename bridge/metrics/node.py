"""Metrics of the process: event loop and its steps, clock, ports, database."""

from typing import Final

from bridge.metrics.families import OTHER, Families

SIBLING_REASONS: Final = ("malformed", "signature", "expired", "replayed", "target", "full", OTHER)
"""`malformed`: no signature, or a body that cannot be read; `target`: for a node that is not here; `full`: too
many signatures are remembered."""
STEPS: Final = ("clock", "sample", "report", "scrape", "list", "garbage", "copy", "snapshot")
"""`clock`: the ticks of calls that share a phase of the 20 ms clock; `sample`: figures of calls, taken once a
second; `report`: RTCP reports and checks for silence; `scrape`: a part of the metrics; `list`: live calls described for
lists and consoles; `garbage`: a run of the garbage collector."""

_LAG_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
_STEP_SECONDS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)


class NodeMetrics:
    """Process metrics of one node."""

    def __init__(self, create: Families) -> None:
        self.loop_lag = create.histogram(
            "bridge_event_loop_lag_seconds", "How late the event loop runs a timer.", _LAG_SECONDS
        )
        self.set_encoder_level = create.gauge(
            "bridge_encoder_level",
            "Encoder level: 0 is normal, higher levels cost less under load.",
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
        self.set_spares = create.gauge(
            "bridge_spares_ready",
            "Processes that wait for the place of a node that dies, as the supervisor of this one has said.",
        )
        self.set_lease = create.gauge(
            "bridge_node_lease_seconds",
            "How long the node's lease in the database lasts unless it is renewed; 0 without one.",
        )
        self.fencing_refused = create.counter(
            "bridge_node_fencing_refused_total",
            "Times that more than half of the nodes looked dead, and none was declared so.",
        )
        self.node_lost = create.counter(
            "bridge_nodes_lost_total",
            "Lost nodes, of any machine, whose calls this node has ended.",
        )


class StepMetrics:
    """How long single steps of the event loop run, of those whose work may grow with the number of calls.

    A datagram is handled in a step of its own and is not measured: what all steps together delay is
    `bridge_event_loop_lag_seconds`.
    """

    def __init__(self, create: Families) -> None:
        self._seconds = create.histogram(
            "bridge_event_loop_step_seconds",
            "How long steps of the event loop run that work for several calls; packets are not measured.",
            _STEP_SECONDS,
            step=STEPS,
        )

    def took(self, step: str, seconds: float) -> None:
        """Observe how long a step (`STEPS`) has run."""
        self._seconds(seconds, step)
