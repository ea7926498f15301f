"""All Prometheus metrics of a node, in base units and with closed label sets.

A label never holds an id, a number or an address; a value outside its set is counted as `other`.
"""

from collections.abc import Hashable, Iterable, Mapping
from weakref import WeakKeyDictionary

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from bridge.call.model import Direction, EndReason, LegKind, LegStatistics, State
from bridge.call.timeline import Sample
from bridge.metrics.agent import AgentMetrics
from bridge.metrics.calls import LIVE_STATES, REFUSALS, CallMetrics
from bridge.metrics.cloud import CloudMetrics
from bridge.metrics.events import EventMetrics
from bridge.metrics.http import HttpMetrics
from bridge.metrics.labels import Families, closed
from bridge.metrics.legs import LegMetrics
from bridge.metrics.node import METHODS, NodeMetrics
from bridge.metrics.outgoing import OutgoingMetrics
from bridge.metrics.recording import RecordingMetrics
from bridge.metrics.setup import (
    FAILURE_REASONS,
    FAILURE_STAGES,
    RESTART_OUTCOMES,
    SETUP_OUTCOMES,
    SETUP_STAGES,
    SetupMetrics,
)
from bridge.metrics.sockets import SocketMetrics


class Metrics:
    """Every metric of one node."""

    def __init__(self, *, version: str) -> None:
        # Otherwise every counter has a second series with its creation time.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        self._registry = registry
        ProcessCollector(registry=registry)
        Gauge(
            "bridge_build_info", "The running version; always 1.", ["version"], registry=registry
        ).labels(version).set(1)
        create = Families(registry)
        self._calls = CallMetrics(create)
        self._setup = SetupMetrics(create)
        self._legs = LegMetrics(registry)
        self.whatsapp = CloudMetrics(create)
        # Frames dropped and concealed so far.
        self._bus_counts: WeakKeyDictionary[object, tuple[int, int]] = WeakKeyDictionary()
        self._node = NodeMetrics(create)
        self.events = EventMetrics(create)
        self.agents = AgentMetrics(create)
        self.recordings = RecordingMetrics(create)
        self.sockets = SocketMetrics(create)
        self.outgoing = OutgoingMetrics(create)
        self.http = HttpMetrics(create)

    def render(self) -> tuple[bytes, str]:
        """Return body and content type of the response to a scrape."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    # Calls

    def call_started(self, direction: Direction) -> None:
        """Count a new call."""
        self._calls.started.labels(direction.value).inc()

    def call_ended(self, direction: Direction, reason: EndReason, seconds: float) -> None:
        """Count the end of a call; `seconds` includes ringing."""
        self._calls.ended.labels(direction.value, reason.value).inc()
        self._calls.duration.observe(seconds)

    def call_refused(self, reason: str) -> None:
        """Count a refused call (`REFUSALS`)."""
        self._calls.refused.labels(closed(reason, REFUSALS)).inc()

    def set_calls(self, calls: Mapping[State, int], *, limit: int) -> None:
        """Set the number of calls in each state, and the limit."""
        for state in LIVE_STATES:
            self._calls.now.labels(state.value).set(calls.get(state, 0))
        self._calls.limit.set(limit)

    # Legs

    def leg_started(self, leg: Hashable, kind: LegKind) -> None:
        """Count a leg; `leg` is any key that is unique until `leg_ended`."""
        self._legs.started(leg, kind)

    def leg_connected(self, leg: Hashable) -> None:
        """Note that the leg's media is connected."""
        self._legs.connected(leg)

    def observe_legs(self, legs: Iterable[tuple[Hashable, LegStatistics]]) -> None:
        """Process the reports of live legs; called once a second."""
        for leg, report in legs:
            self._node.count(self._legs.observe(leg, report), report)

    def observe_quality(self, kind: LegKind, sample: Sample) -> None:
        """Observe one second of a leg's quality."""
        self._legs.observe_quality(kind, sample)

    def leg_ended(self, leg: Hashable, report: LegStatistics) -> None:
        """Process a leg's last report; an unknown leg is ignored."""
        self._node.count(self._legs.ended(leg, report), report)

    # Setup

    def leg_setup(self, kind: LegKind, outcome: str, seconds: float) -> None:
        """Count a leg setup (`SETUP_OUTCOMES`); observe its duration if it connected."""
        self._setup.outcomes.labels(kind.value, closed(outcome, SETUP_OUTCOMES)).inc()
        if outcome == "connected":
            self.setup_stage("total", seconds)

    def setup_stage(self, stage: str, seconds: float) -> None:
        """Observe the duration of a stage (`SETUP_STAGES`)."""
        self._setup.seconds.labels(closed(stage, SETUP_STAGES)).observe(seconds)

    def transport_failed(self, stage: str, reason: str) -> None:
        """Count a failure of ICE or DTLS (`FAILURE_REASONS`)."""
        self._setup.failures.labels(
            closed(stage, FAILURE_STAGES), closed(reason, FAILURE_REASONS)
        ).inc()

    def ice_restart(self, outcome: str) -> None:
        """Count an ICE restart (`RESTART_OUTCOMES`)."""
        self._setup.restarts.labels(closed(outcome, RESTART_OUTCOMES)).inc()

    # The node

    def loop_lag(self, seconds: float) -> None:
        """Observe how late the event loop ran a timer."""
        self._node.loop_lag.observe(seconds)

    def set_encoder_level(self, level: int) -> None:
        """Set the encoder level (`audio.encoder_level.EncoderLevel`)."""
        self._node.encoder_level.set(level)

    def observe_bus(
        self, bus: object, *, delays: Iterable[float], dropped: int, concealed: int
    ) -> None:
        """Process the state of a call's bus; called once a second and at its end.

        Args:
            bus: A weakly referenced key.
            delays: Delay in seconds of each playout buffer in use.
            dropped: Frames dropped by its buffers in total.
            concealed: Frames concealed by its buffers in total.
        """
        for seconds in delays:
            self._node.bus_delay.observe(seconds)
        before = self._bus_counts.get(bus, (0, 0))
        self._node.drop("playout", dropped - before[0])
        self._node.concealed.inc(concealed - before[1])
        self._bus_counts[bus] = (dropped, concealed)

    def clock_ticks(self, *, late: int = 0, skipped: int = 0) -> None:
        """Count late ticks of the 20 ms clock, and those skipped to catch up."""
        self._node.late_ticks.inc(late)
        self._node.skipped_ticks.inc(skipped)

    def previous_processes(self, *, stuck: int, lost: int) -> None:
        """Count earlier processes of this node: killed because stuck, or lost."""
        self._node.restarts.labels("stuck").inc(stuck)
        self._node.restarts.labels("lost").inc(lost)

    def set_media_ports(self, *, used: int, free: int) -> None:
        """Set how many UDP ports of the media range are used and free."""
        self._node.ports.labels("used").set(used)
        self._node.ports.labels("free").set(free)

    def database_failed(self) -> None:
        """Count a failed database write."""
        self._node.database_failures.inc()

    def http_request(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """Count a request by its route's pattern or `UNMATCHED`; `seconds` is None for sockets."""
        method = closed(method, METHODS)
        self._node.requests.labels(method, route, str(status)).inc()
        if seconds is not None:
            self._node.request_seconds.labels(method, route).observe(seconds)
