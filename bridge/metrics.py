"""What Prometheus is told: every metric of the bridge, in base units and with closed label sets.

One `Metrics` belongs to one node and owns its registry. A label never holds an id, a number or an
address; a word outside a closed set is counted as `other`.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import Final
from weakref import WeakKeyDictionary

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from bridge.agent_metrics import AgentMetrics
from bridge.call.model import Direction, EndReason, LegKind, LegStatistics, State
from bridge.call.timeline import Sample
from bridge.event_metrics import EventMetrics
from bridge.leg_metrics import LegMetrics, SocketMetrics
from bridge.recording_metrics import RecordingMetrics
from bridge.whatsapp_metrics import WhatsAppMetrics

OTHER: Final = "other"

DISCARD_REASONS: Final = (
    "empty",
    "oversized",
    "unknown_source",
    "unknown_kind",
    "bad_stun",
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
    OTHER,
)
"""Why a datagram, or a stream's message, changed nothing: the keys of `LegStatistics.discarded`."""

SETUP_OUTCOMES: Final = ("connected", "refused", "failed", "timeout", "canceled", OTHER)
"""How setting up a leg can turn out; `refused` = the offer was answered with an error."""

SETUP_STAGES: Final = ("answer", "ice", "dtls", "total", OTHER)
"""`answer` = offer in, answer out; `ice` and `dtls` as named; `total` = offer in to media up."""

FAILURE_STAGES: Final = ("ice", "dtls", OTHER)
FAILURE_REASONS: Final = (
    "timeout",
    "nothing_received",
    "checks_unanswered",
    "not_nominated",
    "handshake",
    "fingerprint",
    "srtp_profile",
    "consent_lost",
    "closed",
    OTHER,
)
"""Why ICE or DTLS did not come up, or went down: the reasons of `NegotiationFailed`."""

RESTART_OUTCOMES: Final = ("started", "succeeded", "failed", OTHER)

REFUSALS: Final = ("calls", "line", "overload", "draining", OTHER)
"""Why a new call is refused: `calls` and `line` are limits, `overload` a node with too much to do."""

QUEUES: Final = ("sent_frames", "playout", OTHER)
"""`sent_frames` = frames whose time an outgoing stream had already sent."""

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", OTHER)
UNMATCHED: Final = "unmatched"
"""The `route` of a request that no route took."""

_LIVE_STATES = tuple(state for state in State if state is not State.ENDED)
_CALL_SECONDS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)
_SETUP_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
_LAG_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
_BUS_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5)
_HTTP_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


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
        self._calls = _CallMetrics(registry)
        self._setup = _SetupMetrics(registry)
        self._legs = LegMetrics(registry)
        self.whatsapp = WhatsAppMetrics(registry)
        """What is counted of Meta's webhooks."""
        # Frames dropped and concealed, as last told.
        self._bus_counts: WeakKeyDictionary[object, tuple[int, int]] = WeakKeyDictionary()
        self._node = _NodeMetrics(registry)
        self.events = EventMetrics(registry)
        """Who listens to events, and how they are delivered."""
        self.agents = AgentMetrics(registry)
        self.recordings = RecordingMetrics(registry)
        self.sockets = SocketMetrics(registry)
        """What media sockets lose."""

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
        self._calls.refused.labels(_closed(reason, REFUSALS)).inc()

    def set_calls(self, calls: Mapping[State, int], *, limit: int) -> None:
        """Set how many calls are in each state, and how many the node may carry."""
        for state in _LIVE_STATES:
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
        self._setup.outcomes.labels(kind.value, _closed(outcome, SETUP_OUTCOMES)).inc()
        if outcome == "connected":
            self.setup_stage("total", seconds)

    def setup_stage(self, stage: str, seconds: float) -> None:
        """Take how long one stage took (`SETUP_STAGES`)."""
        self._setup.seconds.labels(_closed(stage, SETUP_STAGES)).observe(seconds)

    def transport_failed(self, stage: str, reason: str) -> None:
        """Count that ICE or DTLS did not come up or went down (`FAILURE_REASONS`)."""
        self._setup.failures.labels(
            _closed(stage, FAILURE_STAGES), _closed(reason, FAILURE_REASONS)
        ).inc()

    def ice_restart(self, outcome: str) -> None:
        """Count an ICE restart (`RESTART_OUTCOMES`)."""
        self._setup.restarts.labels(_closed(outcome, RESTART_OUTCOMES)).inc()

    # The node

    def loop_lag(self, seconds: float) -> None:
        """Take how late the event loop ran a timer."""
        self._node.loop_lag.observe(seconds)

    def set_encoder_rung(self, rung: int) -> None:
        """Set how far encoders have stepped down (`audio.rung.Rung`)."""
        self._node.rung.set(rung)

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
        method = _closed(method, METHODS)
        self._node.requests.labels(method, route, str(status)).inc()
        if seconds is not None:
            self._node.request_seconds.labels(method, route).observe(seconds)


class _CallMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.now = Gauge("bridge_calls", "Calls alive now.", ["state"], registry=registry)
        self.limit = Gauge(
            "bridge_calls_limit", "Calls the node may carry at once.", registry=registry
        )
        self.started = Counter(
            "bridge_calls_started_total", "Calls begun.", ["direction"], registry=registry
        )
        self.ended = Counter(
            "bridge_calls_ended_total", "Calls over.", ["direction", "reason"], registry=registry
        )
        self.duration = Histogram(
            "bridge_call_duration_seconds",
            "From the first request or ring to the end.",
            buckets=_CALL_SECONDS,
            registry=registry,
        )
        self.refused = Counter(
            "bridge_calls_refused_total", "New calls refused.", ["reason"], registry=registry
        )
        for reason in REFUSALS:
            self.refused.labels(reason)
        for state in _LIVE_STATES:
            self.now.labels(state.value)
        for direction in Direction:
            self.started.labels(direction.value)
            for reason in EndReason:
                self.ended.labels(direction.value, reason.value)


class _SetupMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.outcomes = Counter(
            "bridge_leg_setups_total",
            "How setting up legs turned out.",
            ["kind", "outcome"],
            registry=registry,
        )
        self.seconds = Histogram(
            "bridge_leg_setup_seconds",
            "How long setting up took, by stage.",
            ["stage"],
            buckets=_SETUP_SECONDS,
            registry=registry,
        )
        self.failures = Counter(
            "bridge_transport_failures_total",
            "ICE and DTLS that did not come up, or went down.",
            ["stage", "reason"],
            registry=registry,
        )
        self.restarts = Counter(
            "bridge_ice_restarts_total", "ICE restarts.", ["outcome"], registry=registry
        )
        for kind in LegKind:
            for outcome in SETUP_OUTCOMES:
                self.outcomes.labels(kind.value, outcome)
        for stage in FAILURE_STAGES:
            for reason in FAILURE_REASONS:
                self.failures.labels(stage, reason)
        for outcome in RESTART_OUTCOMES:
            self.restarts.labels(outcome)


class _NodeMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.loop_lag = Histogram(
            "bridge_event_loop_lag_seconds",
            "How late the event loop runs a timer.",
            buckets=_LAG_SECONDS,
            registry=registry,
        )
        self.rung = Gauge(
            "bridge_encoder_rung",
            "How far encoders have stepped down under load; 0 is normal.",
            registry=registry,
        )
        self.bus_delay = Histogram(
            "bridge_bus_delay_seconds",
            "Delay of the bus's playout buffers; a direct route has none.",
            buckets=_BUS_SECONDS,
            registry=registry,
        )
        self.concealed = Counter(
            "bridge_bus_frames_concealed_total",
            "Frames that playout buffers made up because none had come in time.",
            registry=registry,
        )
        self.late_ticks = Counter(
            "bridge_clock_late_ticks_total", "Late ticks of the 20 ms clock.", registry=registry
        )
        self.skipped_ticks = Counter(
            "bridge_clock_skipped_ticks_total", "Ticks left out to catch up.", registry=registry
        )
        self.drops = Counter(
            "bridge_drops_total", "What full queues dropped.", ["queue"], registry=registry
        )
        self.discarded = Counter(
            "bridge_datagrams_discarded_total",
            "Datagrams that changed nothing.",
            ["reason"],
            registry=registry,
        )
        ports = "UDP ports of the media range."
        self.ports = Gauge("bridge_media_ports", ports, ["state"], registry=registry)
        self.requests = Counter(
            "bridge_http_requests_total",
            "HTTP requests answered.",
            ["method", "route", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "bridge_http_request_seconds",
            "Time to answer an HTTP request.",
            ["method", "route"],
            buckets=_HTTP_SECONDS,
            registry=registry,
        )
        self.database_failures = Counter(
            "bridge_database_failures_total",
            "What the database was to keep and could not.",
            registry=registry,
        )
        self.restarts = Counter(
            "bridge_node_restarts_total",
            "How often the node was started anew.",
            ["reason"],
            registry=registry,
        )
        for reason in ("stuck", "lost"):
            self.restarts.labels(reason)
        for queue in QUEUES:
            self.drops.labels(queue)
        for reason in DISCARD_REASONS:
            self.discarded.labels(reason)

    def count(self, before: LegStatistics | None, after: LegStatistics) -> None:
        """Count what a leg dropped and discarded since its last report."""
        if before is None:
            return
        self.drop("sent_frames", after.sent.dropped_frames - before.sent.dropped_frames)
        for reason, total in after.discarded.items():
            if (more := total - before.discarded.get(reason, 0)) > 0:
                self.discarded.labels(_closed(reason, DISCARD_REASONS)).inc(more)

    def drop(self, queue: str, count: int) -> None:
        """Count what a queue dropped."""
        if count > 0:
            self.drops.labels(_closed(queue, QUEUES)).inc(count)


def _closed(word: str, allowed: tuple[str, ...]) -> str:
    return word if word in allowed else OTHER
