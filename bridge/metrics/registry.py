"""What Prometheus is told: every metric of the bridge, in base units and with closed label sets.

One `Metrics` belongs to one node and owns its registry. A label never holds an id, a number or an
address; a word outside a closed set is counted as `other`.
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
from bridge.metrics.labels import closed
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
    """Every metric of one node, and the memory of what each live leg had counted before."""

    def __init__(self, *, version: str) -> None:
        # Else every counter has a second series, its time of birth, that no one reads.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        self._registry = registry
        ProcessCollector(registry=registry)
        Gauge(
            "bridge_build_info", "Which version runs; always 1.", ["version"], registry=registry
        ).labels(version).set(1)
        self._calls = CallMetrics(registry)
        self._setup = SetupMetrics(registry)
        self._legs = LegMetrics(registry)
        self.whatsapp = CloudMetrics(registry)
        """What is counted of Meta's webhooks."""
        # Frames dropped and concealed, as last told.
        self._bus_counts: WeakKeyDictionary[object, tuple[int, int]] = WeakKeyDictionary()
        self._node = NodeMetrics(registry)
        self.events = EventMetrics(registry)
        """Who listens to events, and how they are delivered."""
        self.agents = AgentMetrics(registry)
        self.recordings = RecordingMetrics(registry)
        self.sockets = SocketMetrics(registry)
        """What media sockets lose."""
        self.outgoing = OutgoingMetrics(registry)
        """Look-ups of host names."""
        self.http = HttpMetrics(registry)
        """Connections of the HTTP service, and what strangers are refused."""

    def render(self) -> tuple[bytes, str]:
        """Return the answer to a scrape: its body and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    # Calls

    def call_started(self, direction: Direction) -> None:
        """Count a new call."""
        self._calls.started.labels(direction.value).inc()

    def call_ended(self, direction: Direction, reason: EndReason, seconds: float) -> None:
        """Count the end of a call that lasted this long, ringing included."""
        self._calls.ended.labels(direction.value, reason.value).inc()
        self._calls.duration.observe(seconds)

    def call_refused(self, reason: str) -> None:
        """Count a new call that was refused (`REFUSALS`)."""
        self._calls.refused.labels(closed(reason, REFUSALS)).inc()

    def set_calls(self, calls: Mapping[State, int], *, limit: int) -> None:
        """Set how many calls are in each state, and how many the node may carry."""
        for state in LIVE_STATES:
            self._calls.now.labels(state.value).set(calls.get(state, 0))
        self._calls.limit.set(limit)

    # Legs

    def leg_started(self, leg: Hashable, kind: LegKind) -> None:
        """Count a leg as alive; `leg` is any key that is its own until `leg_ended`."""
        self._legs.started(leg, kind)

    def leg_connected(self, leg: Hashable) -> None:
        """Note that the leg's media is up, so that hearing nothing from it is worth telling."""
        self._legs.connected(leg)

    def observe_legs(self, legs: Iterable[tuple[Hashable, LegStatistics]]) -> None:
        """Take the figures of live legs; to be called once a second for each leg."""
        for leg, report in legs:
            self._node.count(self._legs.observe(leg, report), report)

    def observe_quality(self, kind: LegKind, sample: Sample) -> None:
        """Take one second of a leg's quality."""
        self._legs.observe_quality(kind, sample)

    def leg_ended(self, leg: Hashable, report: LegStatistics) -> None:
        """Take a leg's last figures and forget it; a leg that is not alive is ignored."""
        self._node.count(self._legs.ended(leg, report), report)

    # Setting up

    def leg_setup(self, kind: LegKind, outcome: str, seconds: float) -> None:
        """Count how setting up a leg turned out (`SETUP_OUTCOMES`) and, if well, how long it took."""
        self._setup.outcomes.labels(kind.value, closed(outcome, SETUP_OUTCOMES)).inc()
        if outcome == "connected":
            self.setup_stage("total", seconds)

    def setup_stage(self, stage: str, seconds: float) -> None:
        """Take how long one stage took (`SETUP_STAGES`)."""
        self._setup.seconds.labels(closed(stage, SETUP_STAGES)).observe(seconds)

    def transport_failed(self, stage: str, reason: str) -> None:
        """Count that ICE or DTLS did not come up or went down (`FAILURE_REASONS`)."""
        self._setup.failures.labels(
            closed(stage, FAILURE_STAGES), closed(reason, FAILURE_REASONS)
        ).inc()

    def ice_restart(self, outcome: str) -> None:
        """Count an ICE restart (`RESTART_OUTCOMES`)."""
        self._setup.restarts.labels(closed(outcome, RESTART_OUTCOMES)).inc()

    # The node

    def loop_lag(self, seconds: float) -> None:
        """Take how late the event loop ran a timer."""
        self._node.loop_lag.observe(seconds)

    def set_encoder_level(self, level: int) -> None:
        """Set the encoder level (`audio.encoder_level.EncoderLevel`)."""
        self._node.encoder_level.set(level)

    def observe_bus(
        self, bus: object, *, delays: Iterable[float], dropped: int, concealed: int
    ) -> None:
        """Take the figures of one call's bus; to be called once a second and at its end.

        Args:
            bus: The bus itself; it is remembered no longer than it lives.
            delays: Seconds, of each playout buffer in use.
            dropped: Frames that its buffers have dropped since it began.
            concealed: Frames that its buffers have made up since it began.
        """
        for seconds in delays:
            self._node.bus_delay.observe(seconds)
        before = self._bus_counts.get(bus, (0, 0))
        self._node.drop("playout", dropped - before[0])
        self._node.concealed.inc(concealed - before[1])
        self._bus_counts[bus] = (dropped, concealed)

    def clock_ticks(self, *, late: int = 0, skipped: int = 0) -> None:
        """Count more ticks of the 20 ms clock that came late, or were left out to catch up."""
        self._node.late_ticks.inc(late)
        self._node.skipped_ticks.inc(skipped)

    def forerunners(self, *, stuck: int, lost: int) -> None:
        """Count this node's processes before this one: killed as stuck, gone for other reasons."""
        self._node.restarts.labels("stuck").inc(stuck)
        self._node.restarts.labels("lost").inc(lost)

    def set_media_ports(self, *, used: int, free: int) -> None:
        """Set how many UDP ports of the media range are in use."""
        self._node.ports.labels("used").set(used)
        self._node.ports.labels("free").set(free)

    def database_failed(self) -> None:
        """Count what the database was to keep and could not."""
        self._node.database_failures.inc()

    def http_request(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """Count a request by its route's pattern, or `UNMATCHED`; sockets and streams have no time."""
        method = closed(method, METHODS)
        self._node.requests.labels(method, route, str(status)).inc()
        if seconds is not None:
            self._node.request_seconds.labels(method, route).observe(seconds)
