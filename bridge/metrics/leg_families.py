"""The metrics of legs: what there is of each kind, and the counters that follow their figures."""

from collections.abc import Iterator
from functools import cached_property
from operator import attrgetter
from typing import TypeAlias, TypeVar

from bridge.call.model import LegKind
from bridge.call.record.timeline import Sample
from bridge.metrics.families import Count, Distribution, Families
from bridge.metrics.values import Histogram

_JITTER_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)
_ROUND_TRIP_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1, 2)
_LOSS_RATIO = (0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1)
_SHARE = (0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
_MOS = (1.5, 2, 2.5, 3, 3.3, 3.6, 3.8, 4, 4.1, 4.2, 4.3, 4.5)
_LEVEL_DBOV = (-120, -90, -70, -60, -50, -40, -35, -30, -25, -20, -15, -10, -6, -3, 0)

_Followed = TypeVar("_Followed", Count, Distribution)
_Table: TypeAlias = dict[str, tuple[_Followed, tuple[str, ...]]]
"""By field of the statistics: the metric that follows it, and the values of its labels but `kind`."""


class LegFamilies:
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
            "speech_held_seconds_total",
            "Time for which speech of bots was held because the far party would not have heard it.",
            rx="held_seconds",
        )
        count(
            "speech_held_dropped_seconds_total",
            "Held speech of bots that was dropped: beyond the limit, or because the call ended.",
            rx="held_dropped_seconds",
        )
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


class KindMetrics:
    """The metrics of one kind of leg, each label looked up once."""

    def __init__(self, families: LegFamilies, kind: str) -> None:
        self._families, self._kind = families, kind
        self.alive = families.alive.series((kind,))
        self.silent = families.silent.series((kind,))
        self.stalled = families.stalled.series((kind,))
        self.ended = {
            heard: families.ended.series((kind, heard)) for heard in ("audio", "silence", "nothing")
        }
        self.received = FigureCounters(families.received, kind)
        self.sent = FigureCounters(families.sent, kind)

    @cached_property
    def sample(self) -> tuple[Histogram | None, ...]:
        """By the fields of `Sample`; made for the first leg: their thousand series cost memory."""
        followed = self._families.sample
        return tuple(
            followed[name][0].series((self._kind, *followed[name][1])) if name in followed else None
            for name in Sample._fields
        )


class LegKinds(dict[LegKind, KindMetrics]):
    """The metrics of each kind of leg that there has been."""

    def __init__(self, families: LegFamilies) -> None:
        super().__init__()
        self._families = families

    def __missing__(self, kind: LegKind) -> KindMetrics:
        made = self[kind] = KindMetrics(self._families, kind.value)
        return made

    def complete(self) -> Iterator[KindMetrics]:
        """Create the metrics of the other kinds, for the first scrape."""
        for kind in LegKind:
            yield self[kind]


class FigureCounters:
    """The counters that follow fields of a direction's totals, of one kind of leg."""

    def __init__(self, table: _Table[Count], kind: str) -> None:
        self.values = attrgetter(*table)
        """Of the fields."""
        self.series = [counter.series((kind, *labels)) for counter, labels in table.values()]
