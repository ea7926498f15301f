"""What one peer says: from its RTP packets to frames and digits, or to packets passed on as they are.

Nothing is decoded while only packets are wanted, but a few now and then for the meter.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Final

from bridge.audio.frame import FRAME_BYTES, Frame, Push
from bridge.audio.framer import Framer
from bridge.audio.opus import Decoder, Opus
from bridge.audio.opus_packet import OpusPacket, duration
from bridge.audio.reorder import HOLD_SECONDS, Action, ReorderBuffer, Step
from bridge.call.ends import Relay
from bridge.call.model import ReceivedAudio
from bridge.errors import RemoteProtocolError
from bridge.rtp.counters import ReceiveCounters
from bridge.rtp.decoder_warmup import DecoderWarmup
from bridge.rtp.fast_path import MAX_RUN, Expected, FastPath
from bridge.rtp.level_meter import LevelMeter
from bridge.wire.reception import ReceptionStatistics
from bridge.wire.red import unwrap
from bridge.wire.rtp import EXTENDED, PACKET_SAMPLES, PLAIN, RtpPacket, parse_packet
from bridge.wire.sdp import RemoteAudio
from bridge.wire.telephone_event import DigitReceiver

LEVEL_EVERY: Final = 25
"""Every so many frames the level is measured: twice a second, since it costs as much as decoding."""

# Packets of the source before this one may still be on their way for so long.
_STRAGGLER_SECONDS: Final = 2.0

STALE_SECONDS: Final = 1.0
"""With no packet for this long the level shown is that of silence."""

_NO_SSRC: Final = -1
_RATIO: Final = 3  # from 48 kHz to the bus


class RtpReceiver:
    """Receives one source at a time; the newest SSRC is the source."""

    def __init__(
        self, opus: Opus, *, on_digit: Callable[[str], None], schedule_tick: Callable[[float], None]
    ) -> None:
        self.push: Push | None = None
        """Where frames go; None: nobody wants any."""
        self._relay: Relay | None = None
        self._relay_begins = False
        self._relayed = 0  # number of the packet passed on last
        self._renumbering = 0  # from the peer's numbers to those passed on
        self._reception: ReceptionStatistics | None = None
        self._last_received: float | None = None
        self.malformed = 0
        """Packets that could not be read, and Opus that libopus refused."""
        self.unknown_payloads = 0
        """Packets of a payload type that was not negotiated; dropped."""
        self._on_digit = on_digit
        self._schedule_tick = schedule_tick
        self._decoder = Decoder(opus)
        self._receiver = ReorderBuffer()
        self._framer = Framer()
        self._digit_receiver = DigitReceiver()
        self._timeline: Hashable = None
        self._payload_type = -1
        self._red_type = -1
        self._telephone_events: frozenset[int] = frozenset()
        self._receives = False
        self._ssrc = _NO_SSRC
        self._previous_ssrc = _NO_SSRC
        self._changed_at = 0.0
        self._tally = ReceiveCounters()
        self._meter = LevelMeter()
        self._undecoded = DecoderWarmup(self._decoder, self._meter)
        self._in_order = FastPath(
            decoder=self._decoder,
            meter=self._meter,
            undecoded=self._undecoded,
            otherwise=self._receive,
            moved=self._receive_moved,
            mend=self._mend,
        )
        self.receive = self._in_order.receive
        """Takes an unprotected RTP packet and monotonic seconds.

        A packet that makes no sense is counted and dropped.
        """

    def attach(self, push: Push | None, relay: Relay | None) -> None:
        """Set where frames and undecoded packets go; a decoder that stood still is warmed."""
        self._end_run()
        self.push = push
        self._relay_begins = self._relay_begins or (self._relay is None and relay is not None)
        self._relay = relay
        if (push is not None or relay is None) and self._undecoded.warm():
            self._framer.reset()

    @property
    def reception(self) -> ReceptionStatistics | None:
        """Of the source; None before its first packet."""
        self._catch_up()
        return self._reception

    @property
    def last_received(self) -> float | None:
        """When the last readable packet came, in monotonic seconds."""
        arrivals = self._in_order.arrivals
        return arrivals[-1] if arrivals else self._last_received

    @property
    def relay_loss_ratio(self) -> float:
        """The share of packets that the far end of the relay reports lost; 0 without a relay."""
        return 0.0 if self._relay is None else self._relay.loss_ratio

    def adopt(self, audio: RemoteAudio) -> None:
        """Take over what was negotiated: payload types, and whether the peer sends."""
        self._end_run()
        self._payload_type = audio.opus_payload_type
        self._red_type = -1 if audio.red_payload_type is None else audio.red_payload_type
        self._undecoded.expect_levels(audio.audio_level_id)
        self._telephone_events = frozenset(audio.telephone_events)
        receives = audio.direction in ("sendrecv", "sendonly")
        if not receives:
            self._receiver.restart()
        self._receives = receives

    def restart_source(self) -> None:
        """Forget the source: another page takes its place; the totals go on."""
        self._end_run()
        self._leave_source()
        self._previous_ssrc = _NO_SSRC

    def _receive(self, data: bytes, now: float) -> None:
        """Take a packet that is not the one expected in the run, and see whether a run may begin."""
        self._end_run()
        try:
            packet = parse_packet(data)
        except RemoteProtocolError:
            self.malformed += 1
            return
        payload = packet.payload
        self._tally.packets += 1
        self._tally.octets += len(payload)
        self._last_received = now
        reception = self._reception
        if reception is None or packet.ssrc != self._ssrc:
            if packet.ssrc == self._previous_ssrc and now - self._changed_at < _STRAGGLER_SECONDS:
                self._tally.stragglers += 1
                return
            reception = self._begin_source(packet.ssrc, now)
        reception.received(packet, now)
        if not self._receives:
            return
        if packet.payload_type == self._payload_type and payload:
            self._receive_audio(packet, now)
            self._begin_run(PLAIN | EXTENDED if data[0] & 0x10 else PLAIN)
        elif packet.payload_type == self._red_type:
            self._receive_redundant(packet, now)
        else:
            self._receive_other(packet, now)

    def _begin_run(self, form: int) -> None:
        """Expect the next packet, if all is as it should be, and there are some to come like it."""
        expected, relay, push = self._receiver.expected(), self._relay, self.push
        if (
            expected is None
            or self._reception is None
            or self._relay_begins
            or self._receiver.timeline is not self._timeline
        ):
            return
        sequence, timestamp, position, samples = expected
        if push is not None:
            usual = samples == PACKET_SAMPLES and self._framer.empty
            packets = -self._tally.frames % LEVEL_EVERY if usual else 0
        else:
            packets = 0 if relay is None else self._undecoded.spare
        if packets and self._reception.follows(sequence, timestamp):
            run = Expected(
                form=form | self._payload_type,
                ssrc=self._ssrc,
                sequence=sequence,
                timestamp=timestamp,
                samples=samples,
                place=position - position % _RATIO,
                timeline=self._timeline,
                renumbering=self._renumbering - self._receiver.skipped,
                packets=min(packets, MAX_RUN),
            )
            self._in_order.begin(run, push, relay)

    def _end_run(self) -> None:
        self._catch_up()
        self._in_order.end()

    def _catch_up(self) -> None:
        """Make up for what a run has only written down; it may go on afterwards."""
        if self._in_order.arrivals and self._reception is not None:
            self._last_received = self._in_order.arrivals[-1]
            packets = self._in_order.settle(self._receiver, self._reception, self._tally)
            if self._relay is not None:
                self._relayed = (self._relayed + packets) & 0xFFFF

    def _receive_moved(self, packet: OpusPacket, sequence: int, timestamp: int, now: float) -> None:
        """Take a packet of a run that was passed on, when its frames are wanted as well since."""
        payload, samples = packet.payload, packet.samples
        self._receiver.follow(sequence, timestamp, samples, now)
        if self._reception is not None:
            self._reception.count(sequence, timestamp, now)
        self._tally.packets += 1
        self._tally.octets += len(payload)
        self._last_received = now
        self._relayed = packet.sequence
        if self.push is None and self._relay is not None:
            self._keep(payload, now)
            return
        try:
            pcm = self._decoder.decode(payload)
        except RemoteProtocolError:
            pcm = self._mend(samples)
        self._frame(pcm, packet.position // _RATIO, now)

    def _mend(self, samples: int) -> bytes:
        """Make up sound for a packet that libopus refused."""
        self.malformed += 1
        self._tally.concealed_samples += samples // _RATIO
        return self._decoder.conceal(samples // _RATIO)

    def _frame(self, pcm: bytes, pts: int, now: float) -> None:
        """Give sound of any length as frames."""
        if len(pcm) == FRAME_BYTES and self._framer.empty:
            self._give(pcm, pts, now)
            return
        for whole, position in self._framer.add(pcm, pts):
            self._give(whole, position, now)

    def _keep(self, payload: bytes, now: float, packet: RtpPacket | None = None) -> None:
        try:
            self._undecoded.keep(payload, now, packet)
        except RemoteProtocolError:
            self.malformed += 1

    @property
    def holding(self) -> bool:
        """Whether a packet waits for the one before it, so that `tick` has work."""
        return self._receiver.holding

    def tick(self, now: float) -> None:
        """Release a packet that has been held back for too long."""
        self._decode(self._receiver.tick(now), now)

    def age(self, now: float) -> None:
        """Let the level fall and silence grow while no packet comes."""
        last = self.last_received
        if last is None or now - last < STALE_SECONDS:
            return
        self._meter.fall(last, now)

    def statistics(self) -> ReceivedAudio:
        """Give the figures until now."""
        return self._tally.figures(self.reception, self._receiver, self._meter)

    def _begin_source(self, ssrc: int, now: float) -> ReceptionStatistics:
        self._leave_source()
        self._changed_at = now
        self._ssrc = ssrc
        self._reception = reception = ReceptionStatistics(ssrc=ssrc)
        return reception

    def _leave_source(self) -> None:
        if self._reception is not None:
            self._tally.lost_before += self._reception.lost
            self._previous_ssrc = self._ssrc
        self._reception = None
        self._receiver.restart()
        self._digit_receiver = DigitReceiver()

    def _receive_audio(self, packet: RtpPacket, now: float) -> None:
        payload = packet.payload
        try:
            steps = self._receiver.receive(packet.sequence, packet.timestamp, payload, now)
        except RemoteProtocolError:
            self.malformed += 1
            return
        if self._relay is not None and self._pass_on(self._relay, packet, now):
            self._keep(packet.payload, now, packet)
            return
        if steps:
            self._play(steps, now)
        elif self._receiver.held_since == now:
            self._schedule_tick(HOLD_SECONDS)

    def _receive_other(self, packet: RtpPacket, now: float) -> None:
        """Take a packet that is not audio, but counts in the sequence of the audio."""
        self._decode(self._receiver.skip(packet.sequence, now), now)
        if not packet.payload:
            return
        if packet.payload_type not in self._telephone_events:
            self.unknown_payloads += 1
            return
        try:
            digit = self._digit_receiver.receive(packet.payload, packet.timestamp)
        except RemoteProtocolError:
            self.malformed += 1
            return
        if digit is not None:
            self._on_digit(digit)

    def _receive_redundant(self, packet: RtpPacket, now: float) -> None:
        """Take an audio packet, and those before it that were lost."""
        try:
            *repeated, newest = unwrap(packet)
            for plain in repeated:
                if plain.payload_type == self._payload_type and self._receiver.lacks(
                    plain.sequence
                ):
                    self._tally.fec_samples += duration(plain.payload) // _RATIO
                    self._receive_audio(plain, now)
        except RemoteProtocolError:
            self.malformed += 1
            return
        if newest.payload_type == self._payload_type and newest.payload:
            self._receive_audio(newest, now)
        else:
            self._receive_other(newest, now)

    def _pass_on(self, relay: Relay, packet: RtpPacket, now: float) -> bool:
        """Give a packet to the relay; tell whether nobody wants its frames."""
        receiver, payload = self._receiver, packet.payload
        timeline = receiver.timeline
        if timeline is not self._timeline:
            self._begin_timeline(timeline)
        sequence = packet.sequence - receiver.skipped + self._renumbering
        if self._relay_begins:
            # What came while nothing was passed on is no loss.
            self._relay_begins = False
            self._renumbering += self._relayed + 1 - sequence
            sequence = self._relayed + 1
        self._relayed = sequence & 0xFFFF
        relay(
            OpusPacket(
                payload,
                duration(payload),
                self._relayed,
                receiver.place(packet.timestamp),
                timeline,
                self._meter.level_dbov,
            ),
            now,
        )
        return self.push is None and self._relay is not None

    def _begin_timeline(self, timeline: Hashable) -> None:
        self._timeline = timeline
        self._decoder.reset()
        self._framer.reset()
        self._undecoded.forget()

    def _decode(self, steps: Iterable[Step], now: float) -> None:
        """Play what is due, unless all of it went undecoded already."""
        if self._relay is None or self.push is not None:
            self._play(steps, now)

    def _play(self, steps: Iterable[Step], now: float) -> None:
        for step in steps:
            if step.timeline is not self._timeline:
                self._begin_timeline(step.timeline)
            self._frame(self._sound(step), step.pts, now)

    def _sound(self, step: Step) -> bytes:
        action = step.action
        try:
            if action is Action.DECODE:
                return self._decoder.decode(step.payload)
            if action is Action.RECOVER:
                pcm = self._decoder.recover(step.payload, step.samples)
                self._tally.fec_samples += step.samples
                return pcm
        except RemoteProtocolError:
            self.malformed += 1
        self._tally.concealed_samples += step.samples
        return self._decoder.conceal(step.samples)

    def _give(self, pcm: bytes, pts: int, now: float) -> None:
        self._tally.frames += 1
        if self._tally.frames % LEVEL_EVERY == 1:
            self._meter.measure(pcm, now)
        if self.push is not None:
            self.push(Frame(pcm, pts, self._timeline), now)
