"""Metrics of media: of legs, from their statistics, and of the buses between them.

Legs report totals (`LegStatistics`), of which each live leg's counted part is kept. What was measured
here and what the leg's peer reported are separate metrics.
"""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Final, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from bridge.call.model import LegKind, LegStatistics, ReceivedAudio, SentAudio
from bridge.call.record.timeline import Sample
from bridge.metrics.families import OTHER, Count, Distribution, Families
from bridge.metrics.values import Histogram, observe_each

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

_SILENCE_DBOV: Final = -60.0
"""Level below which a leg is silent (`ReceivedAudio.silent_seconds`)."""
_SILENT_SECONDS: Final = 3.0
_STALLED_REPORTS: Final = 2
"""Reports, one per second, without new packets after which a leg counts as stalled."""

_BUS_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5)
_JITTER_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)
_ROUND_TRIP_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1, 2)
_LOSS_RATIO = (0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1)
_SHARE = (0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
_MOS = (1.5, 2, 2.5, 3, 3.3, 3.6, 3.8, 4, 4.1, 4.2, 4.3, 4.5)
_LEVEL_DBOV = (-120, -90, -70, -60, -50, -40, -35, -30, -25, -20, -15, -10, -6, -3, 0)

_Followed = TypeVar("_Followed", Count, Distribution)
_Table: TypeAlias = dict[str, tuple[_Followed, tuple[str, ...]]]
"""By field of the statistics: the metric that follows it, and the values of its labels but `kind`."""


class MediaMetrics:
    """Media metrics of one node, and what is counted of each live leg and bus."""

    def __init__(self, create: Families) -> None:
        self._live: dict[Hashable, _Leg] = {}
        self._kinds = _Kinds(_LegFamilies(create))
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


class _LegFamilies:
    """The metrics of legs, each with the label `kind`; those of both directions also with `direction`.

    Counters follow the fields of `ReceivedAudio` and `SentAudio`, histograms those of `Sample`.
    """

    def __init__(self, create: Families) -> None:
        self._create = create
        self.received: _Table[Count] = {}
        self.sent: _Table[Count] = {}
        self.sample: _Table[Distribution] = {}
        self.alive = create.gauge("bridge_legs", "Current legs.", kind=())
        self.silent = create.gauge(
            "bridge_legs_silent",
            "Legs whose level has been below -60 dBov for at least 3 s.",
            kind=(),
        )
        self.stalled = create.gauge(
            "bridge_legs_stalled",
            "Legs that were sending and have not for 2 s (the event leg.silent).",
            kind=(),
        )
        self.ended = create.counter(
            "bridge_legs_ended_total",
            "Connected legs that ended, by what was received: audio, silence or nothing.",
            kind=(),
            heard=(),
        )
        count, observe = self._count, self._observe
        count("rtp_packets_total", "RTP packets.", rx="packets", tx="packets")
        count(
            "rtp_packets_passthrough_total",
            "RTP packets forwarded undecoded.",
            tx="forwarded_packets",
        )
        count("rtp_payload_bytes_total", "Bytes of RTP payload.", rx="bytes", tx="bytes")
        count("rtp_packets_lost_total", "RTP packets lost.", rx="lost")
        count("rtp_packets_late_total", "RTP packets dropped as late or duplicate.", rx="late")
        count("rtp_packets_reordered_total", "RTP packets received out of order.", rx="reordered")
        count("frames_total", "20 ms frames delivered to the bus.", rx="frames")
        count("frames_concealed_total", "Frames concealed (PLC).", rx="concealed_frames")
        count("frames_recovered_total", "Frames recovered from FEC.", rx="fec_frames")
        count(
            "remote_packets_lost_total",
            "Packets lost, as reported by the leg's peer.",
            tx="remote_lost",
        )
        observe(
            "remote_loss_ratio",
            "Packet loss, as reported by the leg's peer.",
            _LOSS_RATIO,
            tx="sent_loss",
        )
        observe(
            "remote_jitter_seconds",
            "Interarrival jitter, as reported by the leg's peer.",
            _JITTER_SECONDS,
            tx="sent_jitter",
        )
        observe(
            "jitter_seconds",
            "Interarrival jitter of received packets.",
            _JITTER_SECONDS,
            rx="jitter",
        )
        observe("loss_ratio", "Packet loss of one second, measured here.", _LOSS_RATIO, rx="loss")
        observe(
            "round_trip_seconds",
            "Round trip time from the reports of the leg's peer.",
            _ROUND_TRIP_SECONDS,
            rx="round_trip",
        )
        observe("level_dbov", "Audio level.", _LEVEL_DBOV, rx="level", tx="sent_level")
        observe(
            "mos",
            "Mean opinion score of one second (E-model); tx is what the leg hears.",
            _MOS,
            rx="mos",
            tx="sent_mos",
        )
        observe(
            "concealed_ratio", "Share of frames concealed in one second.", _SHARE, rx="concealed"
        )
        observe(
            "recovered_ratio",
            "Share of frames recovered from FEC in one second.",
            _SHARE,
            rx="recovered",
        )
        observe(
            "clipped_ratio",
            "Share of frames that clip in one second.",
            _SHARE,
            rx="clipped",
            tx="sent_clipped",
        )
        observe(
            "silent_ratio",
            "Share of one second without sound.",
            _SHARE,
            rx="silent",
            tx="sent_silent",
        )
        observe(
            "fec_sent_ratio", "Share of time in which in-band FEC was sent.", (0, 1), tx="sent_fec"
        )

    def _count(self, name: str, text: str, *, rx: str = "", tx: str = "") -> None:
        counter = self._create.counter(f"bridge_{name}", text, **_labels(rx, tx))
        if rx:
            self.received[rx] = counter, ("rx",) if tx else ()
        if tx:
            self.sent[tx] = counter, ("tx",) if rx else ()

    def _observe(
        self, name: str, text: str, buckets: tuple[float, ...], *, rx: str = "", tx: str = ""
    ) -> None:
        histogram = self._create.histogram(f"bridge_{name}", text, buckets, **_labels(rx, tx))
        if rx:
            self.sample[rx] = histogram, ("rx",) if tx else ()
        if tx:
            self.sample[tx] = histogram, ("tx",) if rx else ()


def _labels(rx: str, tx: str) -> dict[str, tuple[str, ...]]:
    return {"kind": (), "direction": ()} if rx and tx else {"kind": ()}


class _Kind:
    """The metrics of one kind of leg, each label looked up once."""

    def __init__(self, families: _LegFamilies, kind: str) -> None:
        self._families, self._kind = families, kind
        self.alive = families.alive.series((kind,))
        self.silent = families.silent.series((kind,))
        self.stalled = families.stalled.series((kind,))
        self.ended = {
            heard: families.ended.series((kind, heard)) for heard in ("audio", "silence", "nothing")
        }
        self.received = _Counters(families.received, kind)
        self.sent = _Counters(families.sent, kind)

    @cached_property
    def sample(self) -> tuple[Histogram | None, ...]:
        """By the fields of `Sample`; made for the first leg: their thousand series cost memory."""
        followed = self._families.sample
        return tuple(
            followed[name][0].series((self._kind, *followed[name][1])) if name in followed else None
            for name in Sample._fields
        )


class _Kinds(dict[LegKind, _Kind]):
    """The metrics of each kind of leg that there has been."""

    def __init__(self, families: _LegFamilies) -> None:
        super().__init__()
        self._families = families

    def __missing__(self, kind: LegKind) -> _Kind:
        made = self[kind] = _Kind(self._families, kind.value)
        return made

    def complete(self) -> Iterator[_Kind]:
        """Create the metrics of the other kinds, for the first scrape."""
        for kind in LegKind:
            yield self[kind]


class _Counters:
    """The counters that follow fields of a direction's totals, of one kind of leg."""

    def __init__(self, table: _Table[Count], kind: str) -> None:
        self.values = attrgetter(*table)
        """Of the fields."""
        self.series = [counter.series((kind, *labels)) for counter, labels in table.values()]


class _Counted:
    """What has been counted of one direction of a live leg."""

    __slots__ = ("_counters", "_totals")

    def __init__(self, counters: _Counters) -> None:
        self._counters = counters
        self._totals = [0] * len(counters.series)

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

    kind: _Kind
    connected: bool = False
    heard: str = "nothing"
    idle_reports: int = 0
    _packets: int = 0
    _counted: dict[Hashable, int] = field(default_factory=dict)
    _silent: bool = False
    _stalled: bool = False
    received: _Counted = field(init=False)
    sent: _Counted = field(init=False)

    def __post_init__(self) -> None:
        self.received, self.sent = _Counted(self.kind.received), _Counted(self.kind.sent)

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
