"""What one peer hears: from frames, packets passed on, and digits to its RTP packets."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from bridge.audio.encoder_level import EncoderBudget, choose, parse_bitrate
from bridge.audio.encoding import Encoding
from bridge.audio.fec_policy import FecPolicy
from bridge.audio.frame import SILENCE, Frame
from bridge.audio.opus import Decoder, EncoderSettings, Opus
from bridge.audio.opus_packet import OpusPacket, is_plain
from bridge.audio.silence import SilencePackets
from bridge.call.model import SentAudio
from bridge.errors import RemoteProtocolError
from bridge.rtp.decoder_warmup import TOLD_EVERY, WARMING_PACKETS
from bridge.rtp.dtmf import DtmfSender
from bridge.rtp.level_meter import LevelMeter
from bridge.rtp.receiver import LEVEL_EVERY, STALE_SECONDS
from bridge.rtp.reports import Reports
from bridge.rtp.silence_filler import SilenceFiller
from bridge.wire.rtp import OutgoingStream
from bridge.wire.sdp import MAX_AVERAGE_BITRATE, RemoteAudio

_MAX_PAYLOAD: Final = 1275
"""Bytes of a packet that is passed on; a longer one might not fit a datagram."""
_MAX_MILLISECONDS: Final = 120
_SAMPLES_PER_MILLISECOND: Final = 48


class StreamStart(NamedTuple):
    """The numbers an outgoing stream begins with; all unpredictable to strangers."""

    ssrc: int
    sequence: int
    """15 bits, so that a loss at the start cannot confuse SRTP's roll-over counter."""
    timestamp: int
    """32 bits."""


class RtpSender:
    """Sends one stream at a time; digits take precedence over sound."""

    __slots__ = (
        "_audio",
        "_bytes_before",
        "_digits",
        "_dropped_before",
        "_encoder_budget",
        "_encoding",
        "_fec_wanted",
        "_filler",
        "_longest_samples",
        "_maximum_bitrate",
        "_meter",
        "_on_encoder",
        "_opus",
        "_packets_before",
        "_protection",
        "_relayed",
        "_relayed_packets",
        "_sends",
        "_silence",
        "_steady",
        "started",
        "stream",
        "transmit",
    )

    def __init__(  # noqa: PLR0913  (all but one by keyword)
        self,
        opus: Opus,
        *,
        audio: RemoteAudio,
        start: StreamStart,
        transmit: Callable[[bytes], None],
        encoder_budget: EncoderBudget,
        steady: bool = False,
        on_encoder: Callable[[EncoderSettings], None] = lambda _: None,
    ) -> None:
        self._opus = opus
        self._on_encoder = on_encoder
        self._steady = steady
        self._silence = SilencePackets(opus)
        self._filler = SilenceFiller()
        self.started = not steady
        """Whether anything may be sent: in a steady stream only after `start_sending`."""
        self.transmit = transmit
        """Protects and sends a packet; must not raise."""
        self._encoder_budget = encoder_budget
        self._protection = FecPolicy()
        self._digits = DtmfSender()
        self._meter = LevelMeter()
        self._relayed: deque[bytes] = deque(maxlen=WARMING_PACKETS)
        self._relayed_packets = 0
        self._packets_before = 0
        self._bytes_before = 0
        self._dropped_before = 0
        self.stream = _stream(audio, start)
        """The one owner of the numbers in our packets."""
        self._adopt(audio)
        self._encoding = Encoding(opus, self._settings())
        on_encoder(self._encoding.settings)

    def renegotiate(self, audio: RemoteAudio) -> None:
        """Take over what was negotiated: direction, payload types, bit rate."""
        self.stream.payload_type = audio.opus_payload_type
        self._adopt(audio)
        self._choose_encoder()

    def restart_source(self, audio: RemoteAudio, start: StreamStart) -> None:
        """Begin a new stream, for another page in the peer's place; the totals go on."""
        before = self.stream
        self._packets_before += before.packets
        self._bytes_before += before.octets
        self._dropped_before += before.dropped
        self.stream = _stream(audio, start)
        self._relayed.clear()
        self._protection = FecPolicy()
        self._adopt(audio)
        self._encoding = Encoding(self._opus, self._settings())
        self._on_encoder(self._encoding.settings)

    def push(self, frame: Frame, now: float) -> None:
        """Encode and send a frame; dropped while digits are sent or the peer wants no sound."""
        if not self._sends or self._digits.pending:
            return
        pcm, pts, timeline = frame
        stream = self.stream
        header = stream.stamp(pts, timeline, now)
        if header is None:
            return
        if self._relayed:
            self._join()
        payload = self._encoding.encode(pcm)
        stream.octets += len(payload)
        if stream.packets % LEVEL_EVERY == 1:
            self._meter.measure(pcm, now)
        transmit = self.transmit
        transmit(header + payload)

    def take(self, packet: OpusPacket, now: float) -> bool:
        """Send a packet as it is; dropped as frames are by `push`.

        Returns:
            False when it does not fit what the peer asked for: too long, or from a source that may
            send more bits than the peer takes; or when it is no single mono frame of 20 ms where
            silence is sent for want of those.
        """
        if not self._sends or self._digits.pending:
            return True
        payload, samples, sequence, position, timeline, level_dbov = packet
        if samples > self._longest_samples or len(payload) > _MAX_PAYLOAD:
            return False
        if self._steady and not is_plain(payload):
            return False
        stream = self.stream
        header = stream.stamp_relayed(sequence, position, timeline, now, samples)
        if header is None:
            return True
        transmit = self.transmit
        transmit(header + payload)
        stream.octets += len(payload)
        self._relayed.append(payload)
        self._relayed_packets = count = self._relayed_packets + 1
        if count % TOLD_EVERY == 1:
            self._meter.note(level_dbov, now)
        return True

    def start_sending(self, now: float) -> None:
        """Allow sending, and begin with silence; safe to repeat."""
        if not self.started:
            self.started = True
            self._adopt(self._audio)
            self._fill(now)

    def send_digits(self, digits: str) -> bool:
        """Queue digits; False when the peer takes none or too many wait already."""
        return self._sends and self._digits.add(digits)

    @property
    def digits_pending(self) -> bool:
        """Whether digits are being sent, so that `tick` has work."""
        return self._digits.pending

    def tick(self, now: float) -> None:
        """Send the next packet of a digit and, in a steady stream, the silence that is due."""
        packet = self._digits.next_packet(self.stream, now) if self._digits.pending else None
        if packet is not None:
            self.transmit(packet)
        if self._steady:
            self._fill(now)

    def hear_report(self, loss: float, now: float) -> None:
        """Take what the peer reports about this stream: the share lost since its last report."""
        self._protection.report(loss, now)
        self._choose_encoder()

    def age(self, now: float) -> None:
        """Let the level fall when nothing is sent, and follow the node's encoder level."""
        self._choose_encoder()
        if now - self.stream.last_time >= STALE_SECONDS:
            self._meter.fall(self.stream.last_time, now)

    def statistics(self, reports: Reports) -> SentAudio:
        """Give the figures until now, with what the peer reported about them."""
        stream = self.stream
        return SentAudio(
            packets=self._packets_before + stream.packets,
            bytes=self._bytes_before + stream.octets,
            relayed_packets=self._relayed_packets,
            dropped_frames=self._dropped_before + stream.dropped,
            remote_lost=reports.remote_lost,
            remote_loss_ratio=reports.remote_loss_ratio,
            remote_jitter_seconds=reports.remote_jitter_seconds,
            fec=self._encoding.settings.fec,
            level_dbov=self._meter.level_dbov,
            noted_levels=self._meter.noted,
            quiet_levels=self._meter.quiet,
            measured_frames=self._meter.measured,
            clipped_frames=self._meter.clipped,
        )

    def _adopt(self, audio: RemoteAudio) -> None:
        self._audio = audio
        # The direction is as the peer says it: "sendonly" is one that does not listen.
        self._sends = self.started and audio.direction in ("sendrecv", "recvonly")
        self._digits.use(audio.telephone_events if self._sends else {})
        longest = min(audio.maxptime or _MAX_MILLISECONDS, _MAX_MILLISECONDS)
        rate = parse_bitrate(audio.opus_parameters.get("maxaveragebitrate", ""))
        self._maximum_bitrate = rate
        # RFC 7587 §6.1: a peer that does not say so makes no use of FEC.
        self._fec_wanted = audio.opus_parameters.get("useinbandfec") == "1"
        # Other peers are asked for at most so many bits; one that takes less gets frames encoded.
        fits = rate is None or rate >= MAX_AVERAGE_BITRATE
        self._longest_samples = longest * _SAMPLES_PER_MILLISECOND if fits else 0

    def _fill(self, now: float) -> None:
        """Send the silence that is due where there is nothing else to send."""
        if not self._sends or self._digits.pending:
            return
        stream, payload = self.stream, self._silence.packet(self._encoding.settings.application)
        for position in self._filler.due(stream.packets, stream.last_time, now):
            if self._filler.begins:
                self._relayed.clear()
                self._encoding.continue_from((SILENCE,))
            header = stream.stamp(position, self._filler.timeline, now)
            if header is not None:
                stream.octets += len(payload)
                self.transmit(header + payload)

    def _choose_encoder(self) -> None:
        settings = self._settings()
        if settings != self._encoding.settings:
            self._encoding.switch_to(settings)
            self._on_encoder(settings)

    def _settings(self) -> EncoderSettings:
        expected = self._protection.expected_loss if self._fec_wanted else 0
        return choose(
            self._maximum_bitrate, level=self._encoder_budget.level, expected_loss=expected
        )

    def _join(self) -> None:
        """Let the next frame join on to the packets that were passed on."""
        decoder = Decoder(self._opus)
        before = []
        for payload in self._relayed:
            with suppress(RemoteProtocolError):
                before.append(decoder.decode(payload))
        self._encoding.continue_from(before)
        self._relayed.clear()


def _stream(audio: RemoteAudio, start: StreamStart) -> OutgoingStream:
    return OutgoingStream(
        ssrc=start.ssrc,
        payload_type=audio.opus_payload_type,
        sequence=start.sequence,
        timestamp=start.timestamp,
    )
