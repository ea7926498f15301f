"""A short path for packets that arrive exactly as expected, which is nearly all of them.

Most of a packet's cost is code that has left the caches since the one before. So statistics, totals
and reorder state are not updated per packet: only arrival times are recorded, and `sync` accounts
for many packets at once when statistics are read or something unexpected arrives. Where there is a
compiled packet path, it takes the run in an offload, and `sync` copies back what it has counted.
"""

from collections.abc import Callable, Hashable
from typing import Final, NamedTuple

from bridge.audio.buffer.reorder import ReorderBuffer
from bridge.audio.codec.codec import OPUS, Codec
from bridge.audio.codec.coders import AudioDecoder
from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.audio.codec.g711 import G711Decoder
from bridge.audio.codec.opus_packet import BUS_RATIO
from bridge.audio.detect.echo import NO_PACKETS, Run
from bridge.audio.frame import Frame, Push
from bridge.call.bus.ends import FanOut, Forwarder, Takers
from bridge.errors import RemoteProtocolError
from bridge.rtp.counters import ReceiveCounters
from bridge.rtp.decoder_warmup import DecoderWarmup
from bridge.rtp.level_meter import LevelMeter
from bridge.rtp.offload import Outputs, SinkMode, SourceOffload, coder_state
from bridge.rtp.offloadable import Passing, offloadable_owner
from bridge.wire.rtp.packet import (
    EXTENDED,
    HEADER_BYTES,
    MARKER,
    PACKET_SAMPLES,
    after_extension,
    read_header_pattern,
)
from bridge.wire.rtp.reception import ReceptionStatistics

MAX_RUN: Final = 64
"""Maximum number of packets recorded before they are synced."""

_NO_SEQUENCE: Final = -1
_TOO_SHORT: Final = (0, -2, 0, 0)  # matches no run
_ANY_MARKER: Final = 0xFFFF - MARKER


class Expected(NamedTuple):
    """What the packets of a run have in common, and the values of the first one."""

    header_pattern: int
    """First two bytes of the header, without the marker."""
    ssrc: int
    sequence: int
    timestamp: int
    samples: int
    """Of each packet, at 48 kHz; where frames are wanted, one frame."""
    ticks: int
    """The same at the RTP clock."""
    position: int
    """On the timeline, at 48 kHz."""
    arrival: float
    """When the packet before the first one came."""
    reordering_until: float
    """Until when a packet may wait for its predecessor."""
    epoch: Hashable
    renumbering: int
    """Added to the peer's sequence numbers when forwarding."""
    packets: int
    """Maximum length of the run; an offload has none. With 0 there is only an offload."""


class FastPath:
    """One run of packets after another; all others go to `slow_path`, which begins the next run.

    Args:
        codec: Of the source, as its decoder.
        decoder: Of the source.
        meter: Has the level of forwarded packets.
        warmup: Keeps packets that are not decoded.
        slow_path: Takes every packet that is not the expected one.
        interrupted: Takes an expected packet when forwarding it has ended the run.
        conceal: Returns audio (of so many samples at 48 kHz) for a packet that was refused.
    """

    __slots__ = (
        "_codec",
        "_conceal",
        "_decoder",
        "_durations",
        "_epoch",
        "_forward",
        "_header_pattern",
        "_interrupted",
        "_kept",
        "_meter",
        "_next",
        "_octet",
        "_offload",
        "_position",
        "_push",
        "_renumbering",
        "_samples",
        "_slow_path",
        "_ssrc",
        "_stop",
        "_ticks",
        "_timestamp",
        "_warmup",
        "arrivals",
        "last_number",
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
        """When each packet came that has not been synced."""
        self.sizes: list[int] = []
        """Its payload bytes."""
        self.last_number = 0
        """The number with which the last packet that was synced was forwarded."""
        self.refused = 0
        """Payloads that the decoder refused during offloads."""
        self._offload: SourceOffload | None = None
        self.switch_to(codec, decoder)
        self._meter = meter
        self._warmup = warmup
        self._kept = warmup.kept
        self._slow_path = slow_path
        self._interrupted = interrupted
        self._conceal = conceal
        self._next = self._stop = _NO_SEQUENCE
        self._header_pattern = self._ssrc = self._timestamp = self._samples = self._position = 0
        self._ticks = self._renumbering = 0
        self._epoch: Hashable = None
        self._push: Push | None = None
        self._forward: Callable[[EncodedPacket, float], None] | None = None

    def switch_to(self, codec: Codec, decoder: AudioDecoder) -> None:
        """Take packets of another codec; must not be called within a run."""
        self._codec, self._decoder = codec, decoder
        self._durations, self._octet = codec.durations, codec.positions_per_octet

    def offload_to(self, offload: SourceOffload | None) -> None:
        """Use an offload for the next runs; must not be called within a run."""
        self._offload = offload

    def begin(
        self,
        expected: Expected,
        push: Push | None,
        forward: Forwarder | None,
        *,
        reception: ReceptionStatistics,
        counters: ReceiveCounters,
    ) -> None:
        """Begin a run: packets go to `forward`, their frames to `push`; at least one is not None."""
        if self._offload is not None and (outputs := self._outputs(expected, push, forward)):
            self._begin_offload(self._offload, expected, outputs, reception, counters)
            return
        if not expected.packets:
            return
        self._header_pattern, self._ssrc = expected.header_pattern, expected.ssrc
        self._next, self._timestamp = expected.sequence, expected.timestamp
        self._stop = (expected.sequence + expected.packets) & 0xFFFF
        self._samples = expected.samples
        self._position = expected.position - expected.position % BUS_RATIO
        self._ticks = expected.ticks
        self._epoch, self._renumbering = expected.epoch, expected.renumbering
        self._push = push
        self._forward = None if forward is None else forward.__call__

    @property
    def last_arrival(self) -> float | None:
        """When the last packet came that has not been synced; None if there is none."""
        if self.arrivals:
            return self.arrivals[-1]
        offload = self._offload
        return offload.last_arrival if offload is not None and offload.active else None

    def sync(
        self,
        reorder: ReorderBuffer,
        reception: ReceptionStatistics,
        counters: ReceiveCounters,
        *,
        ends: bool = False,
    ) -> Run:
        """Account for the recorded packets and return them; the run goes on, unless it `ends`.

        Then the next packet takes the slow path.
        """
        offload = self._offload
        if offload is not None and offload.active:
            if ends:
                run, copies, kept = offload.end()
                if isinstance(self._decoder, G711Decoder):
                    self._decoder.decoded(kept if offload.decodes else (), offload.past)
                if not offload.decodes:
                    self._kept.extend(kept)
            else:
                run, copies = offload.sync()
            if run.times:
                self._sync_offload(offload, run, reorder, reception, counters)
                offload.deliver_copies(copies, run.times)
            return run
        packets, first = len(self.arrivals), reorder.expected()
        if ends:
            self._next = _NO_SEQUENCE
        if not packets or first is None:
            return NO_PACKETS
        self.last_number = (first[0] + packets - 1 + self._renumbering) & 0xFFFF
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
        self, expected: Expected, push: Push | None, forward: Forwarder | None
    ) -> Outputs | None:
        """Offload the sinks of a source and return what an offload does with its packets; None without an offload."""
        decodable = self._codec is OPUS or expected.samples == PACKET_SAMPLES
        if not decodable or coder_state(self._decoder) is None:
            return None
        takers = Takers(None, ()) if forward is None else forward.takers
        if takers is None:
            return None
        taps, late = takers.taps, None
        if isinstance(push, FanOut) and push.late and len(push.sinks) <= 1 and not taps:
            late, sinks = push.late, push.sinks
            push = sinks[0] if sinks else None
        if takers.sink is not None:
            owner = offloadable_owner(takers.sink)
            sink = (
                None
                if owner is None
                else owner.offload(SinkMode.PACKETS, expected.epoch, self._codec)
            )
            return None if sink is None else Outputs(sink, taps=taps, take_frame=push, late=late)
        owner = offloadable_owner(push)
        if owner is None:
            return Outputs(taps=taps, take_frame=push, late=late)
        # Without its offload the frames would take the long way for as long as this one lasts.
        sink = owner.offload(SinkMode.FRAMES, expected.epoch)
        passed = owner.passed if isinstance(owner, Passing) else None
        return None if sink is None else Outputs(push=sink, taps=taps, passed=passed, late=late)

    def _begin_offload(
        self,
        offload: SourceOffload,
        expected: Expected,
        outputs: Outputs,
        reception: ReceptionStatistics,
        counters: ReceiveCounters,
    ) -> None:
        state, (decoder, past) = offload.state, coder_state(self._decoder) or (None, b"")
        state.header_pattern, state.ssrc = expected.header_pattern, expected.ssrc
        state.sequence, state.timestamp = expected.sequence, expected.timestamp
        state.samples, state.ticks = expected.samples, expected.ticks
        state.position, state.accepted_at = expected.position, expected.arrival
        state.renumbering = expected.renumbering
        state.frames, state.fec_samples = counters.frames, counters.fec_samples
        state.concealed_samples = counters.concealed_samples
        state.reordering_until = expected.reordering_until
        self._meter.export_state(state.meter)
        self._warmup.export_state(state)
        reception.export_state(state)
        offload.begin(outputs, codec=self._codec, decoder=decoder, past=past, epoch=expected.epoch)

    def _sync_offload(
        self,
        offload: SourceOffload,
        run: Run,
        reorder: ReorderBuffer,
        reception: ReceptionStatistics,
        counters: ReceiveCounters,
    ) -> None:
        state, packets = offload.state, len(run.times)
        sequences = offload.sequences
        self.last_number = (sequences[-1] + state.renumbering) & 0xFFFF
        reorder.import_state(state, sequences, run.times)
        reception.import_state(state, sequences)
        counters.packets += packets
        counters.octets += state.octets
        frames = state.frames - counters.frames
        counters.frames, counters.fec_samples = state.frames, state.fec_samples
        counters.concealed_samples = state.concealed_samples
        self.refused += state.refused + state.unmeasured
        self._meter.import_state(state.meter)
        self._warmup.import_state(state)
        offload.count_passed(frames, self._meter.level_dbov)

    def receive(self, data: bytes, now: float) -> None:
        """Process an unprotected RTP packet."""
        pattern, sequence, timestamp, ssrc = (
            read_header_pattern(data) if len(data) > HEADER_BYTES else _TOO_SHORT
        )
        samples = self._samples
        if (
            sequence != self._next
            or timestamp != self._timestamp
            or ssrc != self._ssrc
            or pattern & _ANY_MARKER != self._header_pattern
            or sequence == self._stop
            or not (
                payload := data[after_extension(data) if pattern & EXTENDED else HEADER_BYTES :]
            )
            or (self._durations[payload[0]] or len(payload) * self._octet) != samples
        ):
            slow_path = self._slow_path
            slow_path(data, now)
            return
        forward, position = self._forward, self._position
        if forward is not None:
            number = (sequence + self._renumbering) & 0xFFFF
            level = self._meter.level_dbov
            packet = EncodedPacket(
                payload, samples, number, position, self._epoch, level, self._codec
            )
            forward(packet, now)
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
        push(Frame(pcm, position // BUS_RATIO, self._epoch), now)
