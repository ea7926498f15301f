"""Reception statistics of one RTP source (RFC 3550, appendices A.1, A.3 and A.8)."""

from collections.abc import Sequence
from typing import Final, Protocol, Self

import msgspec

from bridge.wire.rtp.packet import CLOCK_RATE
from bridge.wire.rtp.rtcp import ReportBlock, SenderReport, ntp_middle
from bridge.wire.snapshot_fields import copied, restored

_MAX_DROPOUT: Final = 3000
_MAX_MISORDER: Final = 100
_HISTORY: Final = (1 << 128) - 1  # one bit for each of the newest 128 sequence numbers
_PLAUSIBLE_DEVIATION: Final = 5  # seconds; more is a jump of the source's clock, not jitter


class ReceptionState(Protocol):
    """Fields of a source that is offloaded; as the attributes of `ReceptionStatistics`."""

    clock_rate: float
    jitter: float
    peak: float
    peak_before: float
    peak_until: float
    last_arrival: float
    last_timestamp: int
    breaks: int


class Reception(msgspec.Struct, frozen=True, array_like=True):
    """Where the statistics of a source stand; fields as those of `ReceptionStatistics`."""

    ssrc: int
    clock_rate: int
    packets: int
    base: int
    highest: int
    """Extended by wraps since the source began, or restarted."""
    received: int
    distinct: int
    seen: bytes
    lost_before_restart: int
    expected_before: int
    received_before: int
    jitter: float
    peak: float
    peak_before: float
    peak_until: float
    last_arrival: float | None
    last_timestamp: int
    report: tuple[int, float] | None


class ReceptionStatistics:
    """Statistics of one SSRC.

    A large jump of the sequence confirmed by a second packet is a restart of the source (RFC 3550
    A.1): report blocks start over, while the totals continue.
    """

    __slots__ = (
        "_bad_sequence",
        "_base",
        "_clock_rate",
        "_distinct",
        "_expected_before",
        "_highest",
        "_jitter",
        "_last_arrival",
        "_last_timestamp",
        "_lost_before_restart",
        "_peak",
        "_peak_before",
        "_peak_until",
        "_received",
        "_received_before",
        "_report",
        "_seen",
        "packets",
        "ssrc",
    )

    def __init__(self, *, ssrc: int, clock_rate: int = CLOCK_RATE) -> None:
        """Begin with the first packet; `clock_rate` is of its timestamps, in hertz."""
        self.ssrc = ssrc
        self._clock_rate = clock_rate
        self.packets = 0
        """Received packets, duplicates and late ones included."""
        self._base = 0
        self._highest = -1  # extended by wraps
        self._bad_sequence = -1  # the sequence that would confirm a restart
        self._received = 0
        self._distinct = 0
        self._seen = 0
        self._lost_before_restart = 0
        self._expected_before = 0
        self._received_before = 0
        self._jitter = 0.0
        self._peak = self._peak_before = 0.0
        self._peak_until = 0.0
        self._last_arrival: float | None = None
        self._last_timestamp = 0
        self._report: tuple[int, float] | None = None

    @classmethod
    def restored(cls, stood: Reception) -> Self:
        """Return statistics that go on where others stood."""
        made = restored(cls(ssrc=stood.ssrc, clock_rate=stood.clock_rate), stood, without=["seen"])
        made._seen = int.from_bytes(stood.seen, "big")
        return made

    def stand(self) -> Reception:
        """Return where the statistics stand."""
        return copied(Reception, self, seen=self._seen.to_bytes(16, "big"))

    @property
    def lost(self) -> int:
        """Packets that never arrived, not offset by duplicates; shrinks when a late one arrives."""
        missing = self._highest + 1 - self._base - self._distinct
        return self._lost_before_restart + missing if missing > 0 else self._lost_before_restart

    @property
    def highest(self) -> int:
        """The highest sequence number, extended by wraps."""
        return self._highest

    @property
    def jitter_seconds(self) -> float:
        """Interarrival jitter (RFC 3550 §6.4.1)."""
        return self._jitter / self._clock_rate

    @property
    def peak_jitter_seconds(self) -> float:
        """The deviation from the source's spacing that this second and the one before have reached.

        Interarrival jitter is a mean: packets that are held back and come in bursts hardly raise it.
        """
        return min(self._peak, self._peak_before) / self._clock_rate

    def count(self, sequence: int, timestamp: int, now: float) -> None:
        """Count a packet that arrived at `now` (monotonic seconds), by its header fields."""
        self.packets += 1
        ahead = (sequence - self._highest) & 0xFFFF
        if self._highest < 0:
            self._begin(sequence)
        elif 0 < ahead < _MAX_DROPOUT:
            self._advance(ahead)
        elif 0 < ahead <= 0x10000 - _MAX_MISORDER:
            if sequence != self._bad_sequence:
                self._bad_sequence = (sequence + 1) & 0xFFFF
                return
            self._lost_before_restart = self.lost
            self._begin(sequence)
        else:
            self._bad_sequence = -1
            self._received += 1
            self._count_late(-ahead & 0xFFFF)
            return
        self._bad_sequence = -1
        self._received += 1
        self._measure_jitter(timestamp, now)

    def follows(self, sequence: int, timestamp: int) -> bool:
        """Return whether these are the numbers of the next packet in order."""
        return (
            sequence == (self._highest + 1) & 0xFFFF
            and self._last_arrival is not None
            and self._bad_sequence < 0
            and 0 < (timestamp - self._last_timestamp) & 0xFFFF_FFFF < 1 << 31
        )

    def is_late(self, sequence: int) -> bool:
        """Return whether a packet comes after one that follows it."""
        return self._highest >= 0 and 0 < (self._highest - sequence) & 0xFFFF < _MAX_MISORDER

    def change_clock(self, clock_rate: int) -> None:
        """Go on with timestamps at another rate: the source has changed its codec."""
        ratio = clock_rate / self._clock_rate
        self._clock_rate = clock_rate
        self._jitter *= ratio
        self._peak *= ratio
        self._peak_before *= ratio
        self._last_arrival = None

    def count_run(self, arrivals: Sequence[float], timestamp: int, ticks: int) -> None:
        """Count consecutive packets as `count` would: the first `follows` and has this timestamp.

        The timestamps of the others are `ticks` apart.
        """
        rate = self._clock_rate
        packets = len(arrivals)
        self.packets += packets
        self._received += packets
        self._count_consecutive(packets)
        self._measure_jitter(timestamp, arrivals[0])
        self._last_timestamp = (timestamp + (packets - 1) * ticks) & 0xFFFF_FFFF
        jitter, last = self._jitter, arrivals[0]
        peak, until = self._peak, self._peak_until
        for arrival in arrivals[1:]:
            deviation = abs((arrival - last) * rate - ticks)
            if deviation < _PLAUSIBLE_DEVIATION * rate:
                jitter += (deviation - jitter) / 16
                if arrival >= until:  # inlines `_note_peak`
                    self._peak_before, peak, until = peak, 0.0, arrival + 1.0
                if deviation > peak:
                    peak = deviation
            last = arrival
        self._jitter, self._last_arrival = jitter, last
        self._peak, self._peak_until = peak, until

    def export_state(self, state: ReceptionState) -> None:
        """Copy what each packet in order changes to an offload; the next packet must be one that `follows`."""
        state.clock_rate = self._clock_rate
        state.jitter, state.peak = self._jitter, self._peak
        state.peak_before, state.peak_until = self._peak_before, self._peak_until
        assert self._last_arrival is not None
        state.last_arrival, state.last_timestamp = self._last_arrival, self._last_timestamp

    def import_state(self, state: ReceptionState, sequences: Sequence[int]) -> None:
        """Copy it back, and count the packets since it was exported or last imported, in order of arrival."""
        packets = len(sequences)
        self.packets += packets
        self._received += packets
        if state.breaks:
            for sequence in sequences:
                ahead = (sequence - self._highest) & 0xFFFF
                if 0 < ahead < _MAX_DROPOUT:
                    self._advance(ahead)
                else:
                    self._count_late(-ahead & 0xFFFF)
        else:
            self._count_consecutive(packets)
        self._jitter, self._peak = state.jitter, state.peak
        self._peak_before, self._peak_until = state.peak_before, state.peak_until
        self._last_arrival, self._last_timestamp = state.last_arrival, state.last_timestamp

    def sender_report(self, report: SenderReport, now: float) -> None:
        """Remember the source's report, so that it can compute the round trip."""
        self._report = ntp_middle(report.ntp), now

    def report_block(self, now: float) -> ReportBlock:
        """Return a report block that covers the time since the previous one."""
        expected = self._highest + 1 - self._base
        expected_since = expected - self._expected_before
        lost_since = expected_since - (self._received - self._received_before)
        self._expected_before, self._received_before = expected, self._received
        fraction = 0
        if expected_since > 0 and lost_since > 0:
            fraction = min(255, (lost_since << 8) // expected_since)
        last_report = delay = 0
        if self._report is not None:
            last_report = self._report[0]
            delay = min(max(0, round((now - self._report[1]) * 65_536)), 0xFFFF_FFFF)
        lost = max(-0x80_0000, min(expected - self._received, 0x7F_FFFF))
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=fraction,
            packets_lost=lost,
            highest_sequence=max(0, self._highest) & 0xFFFF_FFFF,
            jitter=int(self._jitter),
            last_report=last_report,
            delay=delay,
        )

    def _begin(self, sequence: int) -> None:
        self._base = self._highest = sequence
        self._received = 0
        self._distinct = 1
        self._seen = 1
        self._expected_before = self._received_before = 0
        self._last_arrival = None

    def _count_consecutive(self, packets: int) -> None:
        self._highest += packets
        self._seen = (((self._seen + 1) << packets) - 1) & _HISTORY
        self._distinct += packets

    def _advance(self, ahead: int) -> None:
        self._highest += ahead
        self._seen = (self._seen << ahead | 1) & _HISTORY
        self._distinct += 1

    def _count_late(self, behind: int) -> None:
        bit = 1 << behind
        if not self._seen & bit and self._highest - behind >= self._base:
            self._distinct += 1
        self._seen |= bit

    def _measure_jitter(self, timestamp: int, now: float) -> None:
        advance = (timestamp - self._last_timestamp) & 0xFFFF_FFFF
        if self._last_arrival is not None and advance:
            if advance >= 1 << 31:
                advance -= 1 << 32
            deviation = abs((now - self._last_arrival) * self._clock_rate - advance)
            if deviation < _PLAUSIBLE_DEVIATION * self._clock_rate:
                self._jitter += (deviation - self._jitter) / 16
                self._note_peak(deviation, now)
        self._last_arrival = now
        self._last_timestamp = timestamp

    def _note_peak(self, deviation: float, now: float) -> None:
        if now >= self._peak_until:
            self._peak_before, self._peak, self._peak_until = self._peak, 0.0, now + 1.0
        self._peak = max(self._peak, deviation)
