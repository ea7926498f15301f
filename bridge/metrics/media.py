"""Metrics of media: of legs, from their statistics, and of the buses between them.

Legs report totals (`LegStatistics`), of which each live leg's counted part is kept. What was measured
here and what the leg's peer reported are separate metrics.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from weakref import WeakKeyDictionary

from bridge.call.model import LegKind, LegStatistics, ReceivedAudio, SentAudio
from bridge.call.record.timeline import Sample
from bridge.metrics.families import OTHER, Families
from bridge.metrics.leg_families import FigureCounters, KindMetrics, LegFamilies, LegKinds
from bridge.metrics.values import observe_each

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
    "outdated",
    "unverified_digit",
    "bad_rtp",
    "bad_rtcp",
    "unknown_payload",
    "refused_line",
    "unsendable",
    "bad_message",
    "too_many_marks",
    OTHER,
)
"""Why a datagram or a message was discarded: the keys of `LegStatistics.discarded`."""

QUEUES: Final = ("sent_frames", "playout", OTHER)
"""`sent_frames`: frames whose time had already been sent."""

Heard: TypeAlias = Literal["audio", "silence", "nothing"]
"""What has been received of a leg."""

_SILENCE_DBOV: Final = -60.0
"""Level below which a leg is silent (`ReceivedAudio.silent_seconds`)."""
_SILENT_SECONDS: Final = 3.0
_STALLED_REPORTS: Final = 2
"""Reports, one per second, without new packets after which a leg counts as stalled."""

_BUS_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5)


class MediaMetrics:
    """Media metrics of one node, and what is counted of each live leg and bus."""

    def __init__(self, create: Families) -> None:
        self._live: dict[Hashable, _Leg] = {}
        self._kinds = LegKinds(LegFamilies(create))
        create.complete_at_scrape(self._kinds.complete)
        self._buses: WeakKeyDictionary[object, tuple[int, int]] = WeakKeyDictionary()
        self._drops = create.counter(
            "bridge_drops_total", "Items dropped by full queues.", queue=QUEUES
        )
        self._discarded = create.counter(
            "bridge_datagrams_discarded_total",
            "Datagrams and messages discarded, by reason.",
            reason=DISCARD_REASONS,
        )
        self._bus_delay = create.histogram(
            "bridge_bus_delay_seconds",
            "Delay of the playout buffers (jitter buffers) of the bus.",
            _BUS_SECONDS,
        )
        self._concealed = create.counter(
            "bridge_bus_frames_concealed_total",
            "Frames concealed by playout buffers because none arrived in time.",
        )

    def leg_started(self, leg: Hashable, kind: LegKind) -> None:
        """Count a leg; `leg` is any key that is unique until `leg_ended`."""
        if leg not in self._live:
            self._live[leg] = _Leg(self._kinds[kind])
            self._kinds[kind].alive.inc()

    def leg_restored(
        self, leg: Hashable, kind: LegKind, report: LegStatistics, heard: Heard
    ) -> None:
        """Count a connected leg that another process has counted until this report."""
        self.leg_started(leg, kind)
        self._live[leg].skip(report, heard)

    def leg_moved(self, leg: Hashable, report: LegStatistics) -> None:
        """Process the last report of a leg that another process counts from here on; it has not ended."""
        record = self._live.get(leg)
        if record is not None:
            record.connected = False
        self.leg_ended(leg, report)

    def heard_from(self, leg: Hashable) -> Heard:
        """Return what has been heard of a live leg."""
        record = self._live.get(leg)
        return "nothing" if record is None else record.heard

    def leg_connected(self, leg: Hashable) -> None:
        """Note that the leg's media is connected, so that silence from it is counted."""
        if (record := self._live.get(leg)) is not None:
            record.connected = True

    def observe_legs(self, legs: Iterable[tuple[Hashable, LegStatistics]]) -> None:
        """Process the reports of live legs; called once a second."""
        for leg, report in legs:
            if (record := self._live.get(leg)) is not None:
                self._count(record, report)
                record.update_gauges(
                    silent=report.received.silent_seconds >= _SILENT_SECONDS,
                    stalled=record.idle_reports >= _STALLED_REPORTS and record.heard != "nothing",
                )

    def observe_quality(self, kind: LegKind, sample: Sample) -> None:
        """Observe one second of a leg's quality."""
        observe_each(self._kinds[kind].sample, sample)

    def leg_ended(self, leg: Hashable, report: LegStatistics) -> None:
        """Process a leg's last report; an unknown leg is ignored."""
        if (record := self._live.pop(leg, None)) is None:
            return
        self._count(record, report)
        record.update_gauges(silent=False, stalled=False)
        record.kind.alive.inc(-1)
        if record.connected:
            record.kind.ended[record.heard].inc()

    def observe_bus(
        self, bus: object, *, delays: Iterable[float], dropped: int, concealed: int
    ) -> None:
        """Process the state of a call's bus; called once a second and at its end.

        `delays` are those of the playout buffers in use, in seconds; frames dropped and concealed are totals.
        """
        for seconds in delays:
            self._bus_delay(seconds)
        before, after = self._buses.get(bus, (0, 0)), (dropped, concealed)
        if after != before:
            self._drops("playout", amount=dropped - before[0])
            self._concealed(amount=concealed - before[1])
            self._buses[bus] = after

    def _count(self, leg: "_Leg", report: LegStatistics) -> None:
        """Increment the counters by what is new."""
        leg.listen(report.received)
        leg.received.count(report.received)
        leg.sent.count(report.sent)
        if report.sent.dropped_frames:
            dropped = leg.uncounted("dropped_frames", report.sent.dropped_frames)
            self._drops("sent_frames", amount=dropped)
        if report.discarded:
            for reason, total in report.discarded.items():
                self._discarded(reason, amount=leg.uncounted(("discarded", reason), total))


class _Counted:
    """What has been counted of one direction of a live leg."""

    __slots__ = ("_counters", "_totals")

    def __init__(self, counters: FigureCounters) -> None:
        self._counters = counters
        self._totals = [0] * len(counters.series)

    def skip(self, report: ReceivedAudio | SentAudio) -> None:
        """Take these totals for counted."""
        self._totals = list(self._counters.values(report))

    def count(self, report: ReceivedAudio | SentAudio) -> None:
        """Count what is new; losses can decrease, counters cannot."""
        counted = self._totals
        for index, total in enumerate(self._counters.values(report)):
            if total > counted[index]:
                self._counters.series[index].value += total - counted[index]
                counted[index] = total


@dataclass(slots=True)
class _Leg:
    """State of a live leg."""

    kind: KindMetrics
    connected: bool = False
    heard: Heard = "nothing"
    idle_reports: int = 0
    _packets: int = 0
    _counted: dict[Hashable, int] = field(default_factory=dict)
    _silent: bool = False
    _stalled: bool = False
    received: _Counted = field(init=False)
    sent: _Counted = field(init=False)

    def __post_init__(self) -> None:
        self.received, self.sent = _Counted(self.kind.received), _Counted(self.kind.sent)

    def skip(self, report: LegStatistics, heard: Heard) -> None:
        """Take a report for counted."""
        self.connected, self.heard = True, heard
        self._packets = report.received.packets + report.received.frames
        self.received.skip(report.received)
        self.sent.skip(report.sent)
        self._counted = {("discarded", name): total for name, total in report.discarded.items()}
        self._counted["dropped_frames"] = report.sent.dropped_frames

    def uncounted(self, key: Hashable, total: int) -> int:
        """Return what is new of a total; losses can decrease, counters cannot."""
        more = total - self._counted.get(key, 0)
        if more <= 0:
            return 0
        self._counted[key] = total
        return more

    def listen(self, received: ReceivedAudio) -> None:
        """Update what has been heard of the leg."""
        packets = received.packets + received.frames
        if packets == self._packets:
            self.idle_reports += 1
            return
        self.idle_reports, self._packets = 0, packets
        if received.level_dbov > _SILENCE_DBOV:
            self.heard = "audio"
        elif self.heard == "nothing":
            self.heard = "silence"

    def update_gauges(self, *, silent: bool, stalled: bool) -> None:
        """Update the gauges of silent and stalled legs."""
        if silent is not self._silent:
            self.kind.silent.inc(1 if silent else -1)
        if stalled is not self._stalled:
            self.kind.stalled.inc(1 if stalled else -1)
        self._silent, self._stalled = silent, stalled
