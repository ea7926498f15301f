"""Receiving from one peer: RTP packets become frames and digits, or are forwarded undecoded.

While only packets are wanted, none is decoded, except a few for the level meter.
"""

from collections.abc import Callable, Iterable
from typing import Final

from bridge.audio.buffer.reorder import HOLD_SECONDS, ReorderBuffer, Step
from bridge.audio.codec.coders import make_decoder
from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.audio.codec.opus import Opus
from bridge.audio.codec.opus_packet import BUS_RATIO
from bridge.audio.detect.echo import PacketSizes
from bridge.audio.detect.level import LEVEL_EVERY
from bridge.audio.frame import Push
from bridge.call.bus.ends import Forwarder
from bridge.call.model import ReceivedAudio
from bridge.errors import RemoteProtocolError
from bridge.rtp.counters import ReceiveCounters
from bridge.rtp.decoder_warmup import DecoderWarmup
from bridge.rtp.fast_path import MAX_RUN, Expected, FastPath
from bridge.rtp.frame_output import FrameOutput
from bridge.rtp.level_meter import LevelMeter
from bridge.rtp.offload import SourceOffload
from bridge.rtp.source_filter import SourceFilter
from bridge.wire.rtp.packet import EXTENDED, PACKET_SAMPLES, PLAIN, RtpPacket, parse_packet
from bridge.wire.rtp.reception import ReceptionStatistics
from bridge.wire.rtp.red import unwrap
from bridge.wire.rtp.telephone_event import DigitReceiver
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio

STALE_SECONDS: Final = 1.0
"""Without a packet for this long, the level is that of silence."""


class RtpReceiver:
    """Receives one source at a time: the newest SSRC, or the one before once the newest is silent."""

    def __init__(
        self,
        opus: Opus,
        *,
        audio: NegotiatedAudio,
        on_digit: Callable[[str], None],
        schedule_tick: Callable[[float], None],
    ) -> None:
        self._opus, self._codec = opus, audio.codec
        self._forward: Forwarder | None = None
        self._forwarding_begins = False
        # Sequence number of the last forwarded packet, and what is added to the peer's when forwarding.
        self._forwarded = self._renumbering = 0
        self._reception: ReceptionStatistics | None = None
        self._last_received: float | None = None
        self.sizes = PacketSizes()
        """Of the latest packets, synced ones only."""
        self._malformed = 0
        self.filter = SourceFilter()
        """Has the SSRC of the source, and counts what is not of the audio."""
        self._on_digit, self._schedule_tick = on_digit, schedule_tick
        self.reorder = ReorderBuffer(audio.codec)
        self.digit_receiver = DigitReceiver()
        self._audio = audio
        self.payload_type = -1
        """Of the format that the source sends."""
        self.receives = False
        """Whether the peer's description says that it sends."""
        self.counters = ReceiveCounters()
        self.meter = LevelMeter()
        decoder = make_decoder(audio.codec, opus)
        self._warmup = DecoderWarmup(decoder, self.meter)
        self._output = FrameOutput(
            decoder=decoder,
            counters=self.counters,
            meter=self.meter,
            epoch_begins=self._warmup.clear,
        )
        self._fast_path = FastPath(
            codec=audio.codec,
            decoder=decoder,
            meter=self.meter,
            warmup=self._warmup,
            slow_path=self._receive,
            interrupted=self._run_interrupted,
            conceal=self._output.conceal,
        )
        self.receive = self._fast_path.receive
        """Processes an unprotected RTP packet, at monotonic seconds; drops and counts malformed ones."""
        self.renegotiate(audio)

    def attach(self, push: Push | None, forward: Forwarder | None = None) -> None:
        """Set where frames and undecoded packets go; warms a decoder that has paused."""
        self._end_run()
        self._output.push = push
        self._forwarding_begins = forward is not None and (
            self._forwarding_begins or self._forward is None
        )
        self._forward = forward
        self.reorder.holds = plays = push is not None or forward is None
        if plays and self._warmup.warm():
            self._output.framer.reset()

    @property
    def reception(self) -> ReceptionStatistics | None:
        """Statistics of the source; None before its first packet."""
        self.sync()
        return self._reception

    @property
    def last_received(self) -> float | None:
        """When the last well-formed packet came (monotonic seconds)."""
        return self._fast_path.last_arrival or self._last_received

    def offload_to(self, offload: SourceOffload | None) -> None:
        """Offload the source's runs from the next one on; None: none."""
        self._end_run()
        self._fast_path.offload_to(offload)

    @property
    def forwarded_loss_ratio(self) -> float:
        """The share of forwarded packets that their receiver reports lost; 0 while none are forwarded."""
        return 0.0 if self._forward is None else self._forward.loss_ratio

    def renegotiate(self, audio: NegotiatedAudio) -> None:
        """Apply what was negotiated: codec, payload types, and whether the peer sends."""
        self._end_run()
        self._audio = audio
        self.filter.renegotiate(audio)
        if self.filter.codecs.get(self.payload_type) is not self._codec:
            self._switch_to(audio.payload_type)
        self._warmup.set_level_extension(audio.audio_level_id)
        self.receives = audio.direction in ("sendrecv", "sendonly")
        if not self.receives:
            self.reorder.restart()

    def _switch_to(self, payload_type: int) -> None:
        """Receive another format from the next packet on."""
        self.payload_type, codec = payload_type, self.filter.codecs[payload_type]
        if codec is self._codec:
            return
        self._codec = codec
        decoder = make_decoder(codec, self._opus)
        self._output.decoder = decoder
        self._warmup.switch_to(decoder)
        self._fast_path.switch_to(codec, decoder)
        self.reorder.switch_to(codec)
        if self._reception is not None:
            self._reception.change_clock(codec.clock_rate)

    def restart_source(self) -> None:
        """Leave the source, which another page replaces; the totals stay."""
        self._end_run()
        self._leave_source()
        self.filter.restart()

    def _receive(self, data: bytes, now: float) -> None:
        """Process a packet that is not the expected one, and begin a run if possible."""
        try:
            packet = parse_packet(data)
        except RemoteProtocolError:
            self._malformed += 1
            return
        if not self._admit(packet, now) or not self.receives:
            return
        kind = packet.payload_type
        if kind == self.payload_type and packet.payload:
            self._receive_audio(packet, now)
            self._begin_run(PLAIN | EXTENDED if data[0] & 0x10 else PLAIN)
        elif kind == self._audio.red_payload_type:
            self._receive_redundant(packet, now)
        else:
            self._receive_other(packet, now)

    def _admit(self, packet: RtpPacket, now: float) -> bool:
        """Count a packet; return whether it is of the source, which may begin or change its format with it.

        What belongs to no line that was taken changes nothing but a counter: not even a run ends.
        """
        source, counters = self.filter, self.counters
        kind, ssrc = packet.payload_type, packet.ssrc
        if source.audio_types[kind]:
            counters.packets += 1
            counters.octets += len(packet.payload)
            if ssrc != source.ssrc and source.is_straggler(ssrc, now - (self.last_received or 0.0)):
                counters.stragglers += 1
                return False
            self._end_run()
            self.sizes.append(now, len(packet.payload))
            self._last_received = now
        else:
            source.count_unknown(kind)
            if ssrc != source.ssrc:
                return False
            self._end_run()
        reception = self._reception
        if reception is None or ssrc != source.ssrc:
            reception = self._begin_source(ssrc)
        if kind != self.payload_type and kind in source.codecs:
            if reception.is_late(packet.sequence):
                counters.stragglers += 1
                return False
            self._switch_to(kind)
        reception.count(packet.sequence, packet.timestamp, now)
        return True

    def _begin_run(self, header_pattern: int) -> None:
        """Begin a run of packets like this one, unless something unusual is pending."""
        expected, forward, push = self.reorder.expected(), self._forward, self._output.push
        if (
            expected is None
            or self._reception is None
            or self._forwarding_begins
            or self.reorder.epoch is not self._output.epoch
        ):
            return
        sequence, timestamp, position, samples = expected
        if push is not None:
            offloadable = samples == PACKET_SAMPLES and self._output.framer.empty
            packets = -self.counters.frames % LEVEL_EVERY if offloadable else 0
        else:
            offloadable = forward is not None
            packets = self._warmup.spare if offloadable else 0
        if offloadable and self._reception.follows(sequence, timestamp):
            run = Expected(
                header_pattern=header_pattern | self.payload_type,
                ssrc=self.filter.ssrc,
                sequence=sequence,
                timestamp=timestamp,
                samples=samples,
                ticks=samples // self._codec.positions_per_tick,
                position=position,
                arrival=self.reorder.arrival,
                reordering_until=self.reorder.reordering_until,
                epoch=self._output.epoch,
                renumbering=self._renumbering - self.reorder.skipped,
                packets=min(packets, MAX_RUN),
            )
            self._fast_path.begin(
                run, push, forward, reception=self._reception, counters=self.counters
            )

    def _end_run(self) -> None:
        self.sync(ends=True)

    def sync(self, *, ends: bool = False) -> None:
        """Account for what a run has only recorded, and deliver it to taps; the run goes on, unless it `ends`."""
        if self._reception is None:
            return
        run = self._fast_path.sync(self.reorder, self._reception, self.counters, ends=ends)
        if run.times:
            self._last_received = run.times[-1]
            self.sizes.extend(run)
            if self._forward is not None:
                self._forwarded = self._fast_path.last_number

    def _run_interrupted(
        self, packet: EncodedPacket, sequence: int, timestamp: int, now: float
    ) -> None:
        """Process a forwarded packet of a run after forwarding it has changed what is wanted."""
        payload, samples = packet.payload, packet.samples
        self.reorder.follow(sequence, timestamp, samples, now)
        if self._reception is not None:
            self._reception.count(sequence, timestamp, now)
        self.counters.packets += 1
        self.counters.octets += len(payload)
        self.sizes.append(now, len(payload))
        self._last_received = now
        self._forwarded = packet.sequence
        if self._output.push is None and self._forward is not None:
            self._keep(payload, now)
            return
        self._output.play_packet(payload, samples, packet.position, now)

    def _keep(self, payload: bytes, now: float, packet: RtpPacket | None = None) -> None:
        try:
            self._warmup.keep(payload, now, packet)
        except RemoteProtocolError:
            self._malformed += 1

    @property
    def malformed(self) -> int:
        """Packets that could not be parsed, and audio that its decoder refused, until the last sync."""
        return self._malformed + self._output.malformed + self._fast_path.refused

    @property
    def holding(self) -> bool:
        """Whether a packet is held back for its predecessor, so that `tick` has work."""
        return self.reorder.holding

    def tick(self, now: float) -> None:
        """Release a packet that has been held back for too long."""
        self._decode(self.reorder.tick(now), now)

    def expire(self, now: float) -> None:
        """Let the level fall while no packet comes."""
        self.sync()
        last = self._last_received
        if last is None or now - last < STALE_SECONDS:
            return
        self._end_run()
        self.meter.expire(last, now)

    def restore_source(
        self, payload_type: int, reception: ReceptionStatistics | None, last: float | None
    ) -> None:
        """Go on with the source of another receiver, whose last packet came at `last`."""
        if payload_type in self.filter.codecs:
            self._switch_to(payload_type)
        self._reception, self._last_received = reception, last

    def statistics(self) -> ReceivedAudio:
        """Return the statistics so far."""
        return self.counters.statistics(self.reception, self.reorder, self.meter)

    def _begin_source(self, ssrc: int) -> ReceptionStatistics:
        self._leave_source()
        self.filter.begin(ssrc)
        rate = self._codec.clock_rate
        self._reception = reception = ReceptionStatistics(ssrc=ssrc, clock_rate=rate)
        return reception

    def _leave_source(self) -> None:
        if self._reception is not None:
            self.counters.lost_before += self._reception.lost
        self._reception = None
        self.reorder.restart()
        self.digit_receiver = DigitReceiver()

    def _receive_audio(self, packet: RtpPacket, now: float) -> None:
        payload = packet.payload
        try:
            steps = self.reorder.receive(packet.sequence, packet.timestamp, payload, now)
        except RemoteProtocolError:
            self._malformed += 1
            return
        if self._forward is not None and self._forward_packet(self._forward, packet, now):
            self._keep(packet.payload, now, packet)
            return
        if steps:
            self._output.play(steps, now)
        elif self.reorder.held_since == now:
            self._schedule_tick(HOLD_SECONDS)

    def _receive_other(self, packet: RtpPacket, now: float) -> None:
        """Process a packet without audio in the sequence of the audio."""
        self._decode(self.reorder.skip(packet.sequence, now), now)
        if packet.payload_type == self._codec.comfort_noise_type and packet.payload:
            # The level of the noise; nothing is played for it (RFC 3389 §3).
            self.meter.record(-float(packet.payload[0] & 0x7F), now)
            return
        # Unknown payload types are to be ignored (RFC 3550 §5.1).
        if not packet.payload or packet.payload_type not in self._audio.telephone_events:
            return
        try:
            digit = self.digit_receiver.receive(packet.payload, packet.timestamp)
        except RemoteProtocolError:
            self._malformed += 1
            return
        if digit is not None:
            self._on_digit(digit)

    def _receive_redundant(self, packet: RtpPacket, now: float) -> None:
        """Process an audio packet and the copies in it of lost ones (RFC 2198)."""
        try:
            *repeated, newest = unwrap(packet)
            for plain in repeated:
                if plain.payload_type == self.payload_type and self.reorder.lacks(plain.sequence):
                    samples = self._codec.duration(plain.payload)
                    self.counters.fec_samples += samples // BUS_RATIO
                    self._receive_audio(plain, now)
        except RemoteProtocolError:
            self._malformed += 1
            return
        if newest.payload_type == self.payload_type and newest.payload:
            self._receive_audio(newest, now)
        else:
            self._receive_other(newest, now)

    def _forward_packet(self, forward: Forwarder, packet: RtpPacket, now: float) -> bool:
        """Forward a packet; return whether its frames are not wanted."""
        reorder, payload = self.reorder, packet.payload
        epoch = reorder.epoch
        if epoch is not self._output.epoch:
            self._output.begin_epoch(epoch)
        sequence = packet.sequence - reorder.skipped + self._renumbering
        if self._forwarding_begins:
            # Packets that came while nothing was forwarded are not lost.
            self._forwarding_begins = False
            self._renumbering += self._forwarded + 1 - sequence
            sequence = self._forwarded + 1
        self._forwarded = sequence & 0xFFFF
        position, level = reorder.place(packet.timestamp), self.meter.level_dbov
        codec, number, samples = self._codec, self._forwarded, self._codec.duration(payload)
        forward(EncodedPacket(payload, samples, number, position, epoch, level, codec), now)
        return self._output.push is None and self._forward is not None

    def _decode(self, steps: Iterable[Step], now: float) -> None:
        """Play what is due, unless its packets were forwarded undecoded."""
        if self._forward is None or self._output.push is not None:
            self._output.play(steps, now)
