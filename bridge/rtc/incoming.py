"""What one peer says: from its RTP packets to frames and digits, or to packets passed on as they are.

Nothing is decoded while only packets are wanted, but a few now and then for the meter.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Final

from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES, Frame, Push
from bridge.audio.framer import Framer
from bridge.audio.jitter import HOLD_SECONDS, Action, Receiver, Step
from bridge.audio.opus import Decoder, Opus
from bridge.audio.opus_packet import OpusPacket, duration, duration_of_one
from bridge.call.bus import Relay
from bridge.call.model import ReceivedAudio
from bridge.errors import RemoteProtocolError
from bridge.rtc.meter import Meter
from bridge.rtc.undecoded import Undecoded
from bridge.wire.reception import ReceptionStatistics
from bridge.wire.red import unwrap
from bridge.wire.rtp import HEADER_BYTES, PLAIN, RtpPacket, parse_packet, read_plain
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


class Incoming:
    """Receives one source at a time; the newest SSRC is the source."""

    __slots__ = (
        "_changed_at",
        "_concealed_samples",
        "_decoder",
        "_digit_receiver",
        "_fec_samples",
        "_framer",
        "_frames",
        "_lost_before",
        "_meter",
        "_on_digit",
        "_packets",
        "_payload_bytes",
        "_payload_type",
        "_previous_ssrc",
        "_receiver",
        "_receives",
        "_red_type",
        "_relay",
        "_relay_begins",
        "_relayed",
        "_renumbering",
        "_ssrc",
        "_stragglers",
        "_telephone_events",
        "_timeline",
        "_undecoded",
        "_wake",
        "last_received",
        "malformed",
        "push",
        "reception",
        "unknown_payloads",
    )

    def __init__(
        self, opus: Opus, *, on_digit: Callable[[str], None], wake: Callable[[float], None]
    ) -> None:
        self.push: Push | None = None
        """Where frames go; None: nobody wants any."""
        self._relay: Relay | None = None
        self._relay_begins = False
        self._relayed = 0  # number of the packet passed on last
        self._renumbering = 0  # from the peer's numbers to those passed on
        self.reception: ReceptionStatistics | None = None
        """Of the source; None before its first packet."""
        self.last_received: float | None = None
        """When the last readable packet came, in monotonic seconds."""
        self.malformed = 0
        """Packets that could not be read, and Opus that libopus refused."""
        self.unknown_payloads = 0
        """Packets of a payload type that was not negotiated; dropped."""
        self._on_digit = on_digit
        self._wake = wake
        self._decoder = Decoder(opus)
        self._receiver = Receiver()
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
        self._packets = 0
        self._payload_bytes = 0
        self._stragglers = 0
        self._frames = 0
        self._concealed_samples = 0
        self._fec_samples = 0
        self._lost_before = 0
        self._meter = Meter()
        self._undecoded = Undecoded(self._decoder, self._meter)

    def attach(self, push: Push | None, relay: Relay | None) -> None:
        """Set where frames and undecoded packets go; a decoder that stood still is warmed."""
        self.push = push
        self._relay_begins = self._relay_begins or (self._relay is None and relay is not None)
        self._relay = relay
        if (push is not None or relay is None) and self._undecoded.warm():
            self._framer.reset()

    @property
    def relay_loss_ratio(self) -> float:
        """The share of packets that the far end of the relay reports lost; 0 without a relay."""
        return 0.0 if self._relay is None else self._relay.loss_ratio

    def adopt(self, audio: RemoteAudio) -> None:
        """Take over what was negotiated: payload types, and whether the peer sends."""
        self._payload_type = audio.opus_payload_type
        self._red_type = -1 if audio.red_payload_type is None else audio.red_payload_type
        self._undecoded.expect_levels(audio.audio_level_id)
        self._telephone_events = frozenset(audio.telephone_events)
        receives = audio.direction in ("sendrecv", "sendonly")
        if not receives:
            self._receiver.restart()
        self._receives = receives

    def renew(self) -> None:
        """Forget the source: another page takes its place; the totals go on."""
        self._leave_source()
        self._previous_ssrc = _NO_SSRC

    def receive(self, data: bytes, now: float) -> None:
        """Take an unprotected RTP packet; one that makes no sense is counted and dropped."""
        if len(data) > HEADER_BYTES and self._receive_next(data, now):
            return
        try:
            packet = parse_packet(data)
        except RemoteProtocolError:
            self.malformed += 1
            return
        payload = packet.payload
        self._packets += 1
        self._payload_bytes += len(payload)
        self.last_received = now
        reception = self.reception
        if reception is None or packet.ssrc != self._ssrc:
            if packet.ssrc == self._previous_ssrc and now - self._changed_at < _STRAGGLER_SECONDS:
                self._stragglers += 1
                return
            reception = self._begin_source(packet.ssrc, now)
        reception.received(packet, now)
        if not self._receives:
            return
        if packet.payload_type == self._payload_type and payload:
            self._receive_audio(packet, now)
        elif packet.payload_type == self._red_type:
            self._receive_redundant(packet, now)
        else:
            self._receive_other(packet, now)

    def _receive_next(self, data: bytes, now: float) -> bool:
        """Take the packet expected next, as `receive` would but with the fewest calls.

        False, and nothing is done, for any other packet; nearly all are of this kind.
        """
        flags, kind, sequence, timestamp, ssrc = read_plain(data)
        reception, relay, timeline = self.reception, self._relay, self._timeline
        if (
            flags != PLAIN
            or ssrc != self._ssrc
            or kind & 0x7F != self._payload_type
            or reception is None
            or not self._receives
            or self._receiver.timeline is not timeline
            or (relay is not None and self._relay_begins)
        ):
            return False
        payload = data[HEADER_BYTES:]
        samples = duration_of_one(payload)
        position = self._receiver.follow(sequence, timestamp, samples, now) if samples else None
        if position is None:
            return False
        reception.count(sequence, timestamp, now)
        self._packets += 1
        self._payload_bytes += len(payload)
        self.last_received = now
        if relay is not None:
            number = (sequence - self._receiver.skipped + self._renumbering) & 0xFFFF
            self._relayed = number
            place, loudness = position - position % _RATIO, self._meter.level_dbov
            relay(OpusPacket(payload, samples, number, place, timeline, loudness), now)
            if self.push is None and self._relay is not None:
                self._keep(payload, now)
                return True
        self._play_next(payload, position // _RATIO, samples // _RATIO, now)
        return True

    def _play_next(self, payload: bytes, pts: int, samples: int, now: float) -> None:
        try:
            pcm = self._decoder.decode(payload)
        except RemoteProtocolError:
            self.malformed += 1
            self._concealed_samples += samples
            pcm = self._decoder.conceal(samples)
        self._frame(pcm, pts, now)

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
        """Whether a packet waits for the one before it, so that `pulse` has work."""
        return self._receiver.holding

    def pulse(self, now: float) -> None:
        """Play a held packet that has waited long enough."""
        self._decode(self._receiver.pulse(now), now)

    def age(self, now: float) -> None:
        """Let the level fall and silence grow while no packet comes."""
        last = self.last_received
        if last is None or now - last < STALE_SECONDS:
            return
        self._meter.fall(last, now)

    def statistics(self) -> ReceivedAudio:
        """Give the figures until now."""
        reception = self.reception
        return ReceivedAudio(
            packets=self._packets,
            bytes=self._payload_bytes,
            lost=self._lost_before + (0 if reception is None else reception.lost),
            late=self._receiver.late + self._stragglers,
            reordered=self._receiver.reordered,
            concealed_frames=self._concealed_samples // FRAME_SAMPLES,
            fec_frames=self._fec_samples // FRAME_SAMPLES,
            frames=self._frames,
            jitter_seconds=0.0 if reception is None else reception.jitter_seconds,
            level_dbov=self._meter.level_dbov,
            silent_seconds=self._meter.silent_seconds,
            noted_levels=self._meter.noted,
            quiet_levels=self._meter.quiet,
            measured_frames=self._meter.measured,
            clipped_frames=self._meter.clipped,
        )

    def _begin_source(self, ssrc: int, now: float) -> ReceptionStatistics:
        self._leave_source()
        self._changed_at = now
        self._ssrc = ssrc
        self.reception = reception = ReceptionStatistics(ssrc=ssrc)
        return reception

    def _leave_source(self) -> None:
        if self.reception is not None:
            self._lost_before += self.reception.lost
            self._previous_ssrc = self._ssrc
        self.reception = None
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
            self._wake(HOLD_SECONDS)

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
                    self._fec_samples += duration(plain.payload) // _RATIO
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
                self._fec_samples += step.samples
                return pcm
        except RemoteProtocolError:
            self.malformed += 1
        self._concealed_samples += step.samples
        return self._decoder.conceal(step.samples)

    def _give(self, pcm: bytes, pts: int, now: float) -> None:
        self._frames += 1
        if self._frames % LEVEL_EVERY == 1:
            self._meter.measure(pcm, now)
        if self.push is not None:
            self.push(Frame(pcm, pts, self._timeline), now)
