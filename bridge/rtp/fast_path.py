"""A short path for packets that arrive exactly as expected, which is nearly all of them.

Most of a packet's cost is code that has left the caches since the one before. So statistics, totals
and reorder state are not updated per packet: only arrival times are recorded, and `settle` accounts
for many packets at once when statistics are read or something unexpected arrives. Where there is a
compiled packet path, it takes the run in a lease, and `settle` copies back what it has counted.
"""

from collections.abc import Callable, Hashable
from typing import Final, NamedTuple

from bridge.audio.buffer.reorder import ReorderBuffer
from bridge.audio.codec.codec import OPUS, Codec
from bridge.audio.codec.coders import AudioDecoder
from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.audio.codec.opus import Decoder
from bridge.audio.codec.opus_packet import BUS_RATIO
from bridge.audio.detect.echo import NO_PACKETS, Run
from bridge.audio.frame import Frame, Push
from bridge.call.bus.ends import Relay, Takers
from bridge.errors import RemoteProtocolError
from bridge.rtp.counters import ReceiveCounters
from bridge.rtp.decoder_warmup import DecoderWarmup
from bridge.rtp.lease import Outputs, SinkMode, SourceLease, leasable_owner
from bridge.rtp.level_meter import LevelMeter
from bridge.wire.rtp.packet import EXTENDED, HEADER_BYTES, MARKER, after_extension, read_form
from bridge.wire.rtp.reception import ReceptionStatistics

MAX_RUN: Final = 64
"""Maximum number of packets recorded before they are settled."""

_NO_SEQUENCE: Final = -1
_TOO_SHORT: Final = (0, -2, 0, 0)  # matches no run
_ANY_MARKER: Final = 0xFFFF - MARKER


class Expected(NamedTuple):
    """What the packets of a run have in common, and the values of the first one."""

    form: int
    """First two bytes of the header, without the marker."""
    ssrc: int
    sequence: int
    timestamp: int
    samples: int
    """Of each packet, at 48 kHz; where frames are wanted, one frame."""
    ticks: int
    """The same at the RTP clock."""
    position: int
    """On the timeline, at 48 kHz and in whole samples of the bus."""
    timeline: Hashable
    renumbering: int
    """Added to the peer's sequence numbers when relaying."""
    packets: int
    """Maximum length of the run; a lease has none. With 0 there is only a lease."""


class FastPath:
    """One run of packets after another; all others go to `slow_path`, which begins the next run.

    Args:
        codec: Of the source, as its decoder.
        decoder: Of the source.
        meter: Has the level of relayed packets.
        warmup: Keeps packets that are not decoded.
        slow_path: Takes every packet that is not the expected one.
        interrupted: Takes an expected packet when relaying it has ended the run.
        conceal: Returns audio (of so many samples at 48 kHz) for a packet that was refused.
    """

    __slots__ = (
        "_codec",
        "_conceal",
        "_decoder",
        "_durations",
        "_form",
        "_interrupted",
        "_kept",
        "_lease",
        "_meter",
        "_next",
        "_octet",
        "_position",
        "_push",
        "_relay",
        "_renumbering",
        "_samples",
        "_slow_path",
        "_ssrc",
        "_stop",
        "_ticks",
        "_timeline",
        "_timestamp",
        "_warmup",
        "arrivals",
        "refused",
        "sizes",
    )

    def __init__(  # noqa: PLR0913  (all by keyword)
        self,
        *,
        codec: Codec,
        decoder: AudioDecoder,
        meter: LevelMeter,
        warmup: DecoderWarmup,
        slow_path: Callable[[bytes, float], None],
        interrupted: Callable[[EncodedPacket, int, int, float], None],
        conceal: Callable[[int], bytes],
    ) -> None:
        self.arrivals: list[float] = []
        """When each packet came that has not been settled."""
        self.sizes: list[int] = []
        """Its payload bytes."""
        self.refused = 0
        """Payloads that the decoder refused during leases."""
        self._lease: SourceLease | None = None
        self.switch_to(codec, decoder)
        self._meter = meter
        self._warmup = warmup
        self._kept = warmup.kept
        self._slow_path = slow_path
        self._interrupted = interrupted
        self._conceal = conceal
        self._next = self._stop = _NO_SEQUENCE
        self._form = self._ssrc = self._timestamp = self._samples = self._position = 0
        self._ticks = self._renumbering = 0
        self._timeline: Hashable = None
        self._push: Push | None = None
        self._relay: Callable[[EncodedPacket, float], None] | None = None

    def switch_to(self, codec: Codec, decoder: AudioDecoder) -> None:
        """Take packets of another codec; must not be called within a run."""
        self._codec, self._decoder = codec, decoder
        self._durations, self._octet = codec.durations, codec.positions_per_octet

    def lease_to(self, lease: SourceLease | None) -> None:
        """Use a lease for the next runs; must not be called within a run."""
        self._lease = lease

    def begin(
        self,
        expected: Expected,
        push: Push | None,
        relay: Relay | None,
        *,
        reception: ReceptionStatistics,
        counters: ReceiveCounters,
    ) -> None:
        """Begin a run: packets go to `relay`, their frames to `push`; at least one is not None."""
        if self._lease is not None and (outputs := self._outputs(expected, push, relay)):
            self._begin_lease(self._lease, expected, outputs, reception, counters)
            return
        if not expected.packets:
            return
        self._form, self._ssrc = expected.form, expected.ssrc
        self._next, self._timestamp = expected.sequence, expected.timestamp
        self._stop = (expected.sequence + expected.packets) & 0xFFFF
        self._samples, self._position = expected.samples, expected.position
        self._ticks = expected.ticks
        self._timeline, self._renumbering = expected.timeline, expected.renumbering
        self._push = push
        self._relay = None if relay is None else relay.__call__

    def end(self) -> None:
        """End the run, once it is settled: the next packet takes the slow path."""
        self._next = _NO_SEQUENCE
        lease = self._lease
        if lease is not None and lease.active:
            self._kept.extend(lease.kept())
            lease.end()

    @property
    def last_arrival(self) -> float | None:
        """When the last packet came that has not been settled; None if there is none."""
        if self.arrivals:
            return self.arrivals[-1]
        lease = self._lease
        return lease.state.last_arrival if lease is not None and lease.state.recorded else None

    def settle(
        self, reorder: ReorderBuffer, reception: ReceptionStatistics, counters: ReceiveCounters
    ) -> Run:
        """Account for the recorded packets and return them; the run may go on."""
        lease = self._lease
        if lease is not None and lease.active:
            return self._settle_lease(lease, reorder, reception, counters)
        packets, first = len(self.arrivals), reorder.expected()
        if not packets or first is None:
            return NO_PACKETS
        reorder.follow_run(packets, self.arrivals[-1])
        reception.count_run(self.arrivals, first[1], self._ticks)
        counters.packets += packets
        counters.octets += sum(self.sizes)
        if self._push is None:
            self._warmup.count_kept(packets)
        else:
            counters.frames += packets
        recorded = Run(tuple(self.arrivals), tuple(self.sizes))
        self.arrivals.clear()
        self.sizes.clear()
        return recorded

    def _outputs(
        self, expected: Expected, push: Push | None, relay: Relay | None
    ) -> Outputs | None:
        """Lease the sinks of a source and return what a lease does with its packets; None without a lease."""
        if self._codec is not OPUS:
            return None
        takers = Takers(None, ()) if relay is None else relay.takers
        if takers is None:
            return None
        taps = takers.taps
        if takers.sink is not None:
            owner = leasable_owner(takers.sink)
            sink = None if owner is None else owner.lease(SinkMode.PACKETS, expected.timeline)
            return None if sink is None else Outputs(relay=sink, taps=taps, take_frame=push)
        owner = leasable_owner(push)
        if owner is None:
            return Outputs(taps=taps, take_frame=push)
        # Without its lease the frames would take the long way for as long as this one lasts.
        sink = owner.lease(SinkMode.FRAMES, expected.timeline)
        return None if sink is None else Outputs(push=sink, taps=taps)

    def _begin_lease(
        self,
        lease: SourceLease,
        expected: Expected,
        outputs: Outputs,
        reception: ReceptionStatistics,
        counters: ReceiveCounters,
    ) -> None:
        state, decoder = lease.state, self._decoder
        assert isinstance(decoder, Decoder)
        state.form, state.ssrc = expected.form, expected.ssrc
        state.sequence, state.timestamp = expected.sequence, expected.timestamp
        state.samples, state.ticks = expected.samples, expected.ticks
        state.position, state.renumbering = expected.position, expected.renumbering
        state.recorded = state.octets = state.refused = state.unmeasured = 0
        state.frames, state.concealed_samples = counters.frames, counters.concealed_samples
        self._meter.lend(state.meter)
        self._warmup.lend(state)
        reception.lend(state)
        lease.begin(outputs, decoder=decoder.handle, timeline=expected.timeline)

    def _settle_lease(
        self,
        lease: SourceLease,
        reorder: ReorderBuffer,
        reception: ReceptionStatistics,
        counters: ReceiveCounters,
    ) -> Run:
        state = lease.state
        packets = state.recorded
        if not packets:
            return NO_PACKETS
        lease.deliver_copies()
        reorder.follow_run(packets, state.last_arrival)
        reception.take_back(state, packets)
        counters.packets += packets
        counters.octets += state.octets
        counters.frames, counters.concealed_samples = state.frames, state.concealed_samples
        self.refused += state.refused + state.unmeasured
        state.octets = state.refused = state.unmeasured = 0
        self._meter.take_back(state.meter)
        self._warmup.take_back(state)
        return lease.take_sizes()

    def receive(self, data: bytes, now: float) -> None:
        """Process an unprotected RTP packet."""
        form, sequence, timestamp, ssrc = (
            read_form(data) if len(data) > HEADER_BYTES else _TOO_SHORT
        )
        samples = self._samples
        if (
            sequence != self._next
            or timestamp != self._timestamp
            or ssrc != self._ssrc
            or form & _ANY_MARKER != self._form
            or sequence == self._stop
            or not (payload := data[after_extension(data) if form & EXTENDED else HEADER_BYTES :])
            or (self._durations[payload[0]] or len(payload) * self._octet) != samples
        ):
            slow_path = self._slow_path
            slow_path(data, now)
            return
        relay, position = self._relay, self._position
        if relay is not None:
            number = (sequence + self._renumbering) & 0xFFFF
            level = self._meter.level_dbov
            packet = EncodedPacket(
                payload, samples, number, position, self._timeline, level, self._codec
            )
            relay(packet, now)
            if self._next != sequence:
                self._interrupted(packet, sequence, timestamp, now)
                return
        self._next = (sequence + 1) & 0xFFFF
        self._timestamp = (timestamp + self._ticks) & 0xFFFF_FFFF
        self._position = position + samples
        self.sizes.append(len(payload))
        self.arrivals.append(now)
        push = self._push
        if push is None:
            self._kept.append(payload)
            return
        try:
            pcm = self._decoder.decode(payload)
        except RemoteProtocolError:
            pcm = self._conceal(samples)
        push(Frame(pcm, position // BUS_RATIO, self._timeline), now)
