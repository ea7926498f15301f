"""Metrics computed from the statistics of legs.

Legs report totals (`LegStatistics`). `LegMetrics` keeps each live leg's last report and increments
the counters by the difference, so that they never decrease when a leg ends. What was measured here
and what the leg's peer reported are separate metrics.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bridge.call.model import LegKind, LegStatistics, ReceivedAudio, SentAudio
from bridge.call.timeline import Sample

SILENCE_DBOV: Final = -60.0
"""Level below which a leg is silent (`ReceivedAudio.silent_seconds`)."""
SILENT_SECONDS: Final = 3.0
STALLED_REPORTS: Final = 2
"""Reports, one per second, without new packets after which a leg counts as stalled."""
HEARD: Final = ("audio", "silence", "nothing")

_JITTER_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)
_ROUND_TRIP_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 1, 2)
_LOSS_RATIO = (0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1)
_SHARE = (0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
_MOS = (1.5, 2, 2.5, 3, 3.3, 3.6, 3.8, 4, 4.1, 4.2, 4.3, 4.5)
_LEVEL_DBOV = (-120, -90, -70, -60, -50, -40, -35, -30, -25, -20, -15, -10, -6, -3, 0)

_NOTHING = LegStatistics()


class LegMetrics:
    """Leg metrics of one node, and the last report of each live leg."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._live: dict[Hashable, _Leg] = {}
        families = _Families(registry)
        self._kinds = {kind: _Kind(families, kind.value) for kind in LegKind}

    def started(self, leg: Hashable, kind: LegKind) -> None:
        """Start tracking a leg."""
        if leg not in self._live:
            self._live[leg] = _Leg(kind)
            self._kinds[kind].alive.inc()

    def connected(self, leg: Hashable) -> None:
        """Note that the leg's media is connected, so that silence from it is counted."""
        if (record := self._live.get(leg)) is not None:
            record.connected = True

    def observe(self, leg: Hashable, report: LegStatistics) -> LegStatistics | None:
        """Process a report; return the previous one, None for an unknown leg."""
        if (record := self._live.get(leg)) is None:
            return None
        kind = self._kinds[record.kind]
        before = record.take(report)
        kind.count(record.counted, report)
        kind.judge(
            record,
            silent=report.received.silent_seconds >= SILENT_SECONDS,
            stalled=record.idle_reports >= STALLED_REPORTS and record.heard != "nothing",
        )
        return before

    def observe_quality(self, kind: LegKind, sample: Sample) -> None:
        """Observe one second of a leg's quality."""
        self._kinds[kind].observe(sample)

    def ended(self, leg: Hashable, report: LegStatistics) -> LegStatistics | None:
        """Process a leg's last report and stop tracking it; return value as `observe`."""
        if (record := self._live.pop(leg, None)) is None:
            return None
        kind = self._kinds[record.kind]
        before = record.take(report)
        kind.count(record.counted, report)
        kind.judge(record, silent=False, stalled=False)
        kind.alive.dec()
        if record.connected:
            kind.ended[record.heard].inc()
        return before


@dataclass(slots=True)
class _Counted:
    """Values counted so far by name; losses can decrease, counters cannot."""

    received: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Leg:
    """State of a live leg."""

    kind: LegKind
    report: LegStatistics = _NOTHING
    counted: _Counted = field(default_factory=_Counted)
    connected: bool = False
    heard: str = "nothing"
    idle_reports: int = 0
    silent: bool = False
    stalled: bool = False

    def take(self, report: LegStatistics) -> LegStatistics:
        before, self.report = self.report, report
        old, new = before.received, report.received
        if new.packets + new.frames == old.packets + old.frames:
            self.idle_reports += 1
            return before
        self.idle_reports = 0
        if new.level_dbov > SILENCE_DBOV:
            self.heard = "audio"
        elif self.heard == "nothing":
            self.heard = "silence"
        return before


class _Families:
    """The metrics, each with the label `kind`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"bridge_{name}", text, ["kind", *labels], registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"bridge_{name}", text, ["kind"], registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(
                f"bridge_{name}", text, ["kind", *labels], buckets=buckets, registry=registry
            )

        self.alive = gauge("legs", "Current legs.")
        self.silent = gauge(
            "legs_silent", "Legs whose level has been below -60 dBov for at least 3 s."
        )
        self.stalled = gauge(
            "legs_stalled", "Legs that were sending and have not for 2 s (the event leg.silent)."
        )
        self.ended = counter(
            "legs_ended_total",
            "Connected legs that ended, by what was received: audio, silence or nothing.",
            "heard",
        )
        self.packets = counter("rtp_packets_total", "RTP packets.", "direction")
        self.relayed = counter("rtp_packets_relayed_total", "RTP packets relayed undecoded.")
        self.bytes = counter("rtp_payload_bytes_total", "Bytes of RTP payload.", "direction")
        self.lost = counter("rtp_packets_lost_total", "RTP packets lost.")
        self.late = counter("rtp_packets_late_total", "RTP packets dropped as late or duplicate.")
        self.reordered = counter(
            "rtp_packets_reordered_total", "RTP packets received out of order."
        )
        self.frames = counter("frames_total", "20 ms frames delivered to the bus.")
        self.concealed = counter("frames_concealed_total", "Frames concealed (PLC).")
        self.recovered = counter("frames_recovered_total", "Frames recovered from FEC.")
        self.jitter = histogram(
            "jitter_seconds", "Interarrival jitter of received packets.", _JITTER_SECONDS
        )
        self.loss = histogram(
            "loss_ratio", "Packet loss of one second, measured here.", _LOSS_RATIO
        )
        self.round_trip = histogram(
            "round_trip_seconds",
            "Round trip time from the reports of the leg's peer.",
            _ROUND_TRIP_SECONDS,
        )
        self.level = histogram("level_dbov", "Audio level.", _LEVEL_DBOV, "direction")
        self.mos = histogram(
            "mos",
            "Mean opinion score of one second (E-model); tx is what the leg hears.",
            _MOS,
            "direction",
        )
        self.concealed_share = histogram(
            "concealed_ratio", "Share of frames concealed in one second.", _SHARE
        )
        self.recovered_share = histogram(
            "recovered_ratio", "Share of frames recovered from FEC in one second.", _SHARE
        )
        self.clipped = histogram(
            "clipped_ratio", "Share of frames that clip in one second.", _SHARE, "direction"
        )
        self.quiet = histogram(
            "silent_ratio", "Share of one second without sound.", _SHARE, "direction"
        )
        self.protected = histogram(
            "fec_sent_ratio", "Share of time in which in-band FEC was sent.", (0, 1)
        )
        self.remote_lost = counter(
            "remote_packets_lost_total", "Packets lost, as reported by the leg's peer."
        )
        self.remote_loss = histogram(
            "remote_loss_ratio", "Packet loss, as reported by the leg's peer.", _LOSS_RATIO
        )
        self.remote_jitter = histogram(
            "remote_jitter_seconds",
            "Interarrival jitter, as reported by the leg's peer.",
            _JITTER_SECONDS,
        )


class _Kind:
    """The metrics of one kind of leg, each label looked up once."""

    def __init__(self, families: _Families, kind: str) -> None:
        self._families, self._kind = families, kind
        self.alive = families.alive.labels(kind)
        self._silent = families.silent.labels(kind)
        self._stalled = families.stalled.labels(kind)
        self.ended = {heard: families.ended.labels(kind, heard) for heard in HEARD}
        self._received = {
            "packets": families.packets.labels(kind, "rx"),
            "bytes": families.bytes.labels(kind, "rx"),
            "lost": families.lost.labels(kind),
            "late": families.late.labels(kind),
            "reordered": families.reordered.labels(kind),
            "frames": families.frames.labels(kind),
            "concealed_frames": families.concealed.labels(kind),
            "fec_frames": families.recovered.labels(kind),
        }
        self._sent = {
            "packets": families.packets.labels(kind, "tx"),
            "bytes": families.bytes.labels(kind, "tx"),
            "relayed_packets": families.relayed.labels(kind),
            "remote_lost": families.remote_lost.labels(kind),
        }

    @cached_property
    def _histograms(self) -> dict[str, Histogram]:
        """By field of `Sample`; made for the first leg, as their thousand series cost memory."""
        families, kind = self._families, self._kind
        return {
            "loss": families.loss.labels(kind),
            "jitter": families.jitter.labels(kind),
            "round_trip": families.round_trip.labels(kind),
            "level": families.level.labels(kind, "rx"),
            "mos": families.mos.labels(kind, "rx"),
            "concealed": families.concealed_share.labels(kind),
            "recovered": families.recovered_share.labels(kind),
            "clipped": families.clipped.labels(kind, "rx"),
            "silent": families.quiet.labels(kind, "rx"),
            "sent_loss": families.remote_loss.labels(kind),
            "sent_jitter": families.remote_jitter.labels(kind),
            "sent_level": families.level.labels(kind, "tx"),
            "sent_fec": families.protected.labels(kind),
            "sent_mos": families.mos.labels(kind, "tx"),
            "sent_clipped": families.clipped.labels(kind, "tx"),
            "sent_silent": families.quiet.labels(kind, "tx"),
        }

    def count(self, counted: _Counted, report: LegStatistics) -> None:
        """Increment the counters by what is new."""
        _increase(self._received, counted.received, report.received)
        _increase(self._sent, counted.sent, report.sent)

    def observe(self, sample: Sample) -> None:
        """Observe everything of a sample that has a distribution."""
        for name, histogram in self._histograms.items():
            if (value := getattr(sample, name)) is not None:
                histogram.observe(value)

    def judge(self, leg: _Leg, *, silent: bool, stalled: bool) -> None:
        """Update the gauges of silent and stalled legs."""
        self._silent.inc(silent - leg.silent)
        self._stalled.inc(stalled - leg.stalled)
        leg.silent, leg.stalled = silent, stalled


def _increase(
    counters: dict[str, Counter], counted: dict[str, int], figures: ReceivedAudio | SentAudio
) -> None:
    for name, counter in counters.items():
        total: int = getattr(figures, name)
        if (more := total - counted.get(name, 0)) > 0:
            counter.inc(more)
            counted[name] = total
