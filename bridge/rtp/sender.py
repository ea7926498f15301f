"""Sending to one peer: frames, relayed packets and digits become one RTP stream."""

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
from bridge.rtp.decoder_warmup import REPORTED_EVERY, WARMUP_PACKETS
from bridge.rtp.dtmf import DtmfSender
from bridge.rtp.level_meter import LevelMeter
from bridge.rtp.receiver import LEVEL_EVERY, STALE_SECONDS
from bridge.rtp.reports import Reports
from bridge.rtp.silence_filler import SilenceFiller
from bridge.wire.rtp import OutgoingStream
from bridge.wire.sdp import MAX_AVERAGE_BITRATE, RemoteAudio

_MAX_PAYLOAD: Final = 1275
"""Bytes of a relayed payload; a longer one might not fit a datagram."""
_MAX_MILLISECONDS: Final = 120
_SAMPLES_PER_MILLISECOND: Final = 48


class StreamStart(NamedTuple):
    """The numbers an outgoing stream begins with, all to be random (RFC 3550 §5.1)."""

    ssrc: int
    sequence: int
    """15 bits, so that loss at the start cannot desynchronise SRTP's roll-over counter."""
    timestamp: int
    """32 bits."""


class RtpSender:
    """Sends one stream at a time; digits take precedence over audio."""

    __slots__ = (
        "_audio",
        "_bytes_before",
        "_dropped_before",
        "_dtmf",
        "_encoder_budget",
        "_encoding",
        "_fec",
        "_fec_wanted",
        "_filler",
        "_max_bitrate",
        "_max_relayed_samples",
        "_meter",
        "_on_encoder",
        "_opus",
        "_packets_before",
        "_relayed",
        "_relayed_packets",
        "_sending",
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
        self._fec = FecPolicy()
        self._dtmf = DtmfSender()
        self._meter = LevelMeter()
        self._relayed: deque[bytes] = deque(maxlen=WARMUP_PACKETS)
        self._relayed_packets = 0
        self._packets_before = 0
        self._bytes_before = 0
        self._dropped_before = 0
        self.stream = OutgoingStream(payload_type=audio.opus_payload_type, **start._asdict())
        """Owner of SSRC, sequence and timestamps."""
        self._apply(audio)
        self._encoding = Encoding(opus, self._settings())
        on_encoder(self._encoding.settings)

    def renegotiate(self, audio: RemoteAudio) -> None:
        """Apply what was negotiated: direction, payload types, bit rate."""
        self.stream.payload_type = audio.opus_payload_type
        self._apply(audio)
        self._choose_encoder()

    def restart_source(self, audio: RemoteAudio, start: StreamStart) -> None:
        """Begin a new stream for another page in the peer's place; the totals stay."""
        before = self.stream
        self._packets_before += before.packets
        self._bytes_before += before.octets
        self._dropped_before += before.dropped
        self.stream = OutgoingStream(payload_type=audio.opus_payload_type, **start._asdict())
        self._relayed.clear()
        self._fec = FecPolicy()
        self._apply(audio)
        self._encoding = Encoding(self._opus, self._settings())
        self._on_encoder(self._encoding.settings)

    def push(self, frame: Frame, now: float) -> None:
        """Encode and send a frame; dropped while digits are sent or the peer does not receive."""
        if not self._sending or self._dtmf.pending:
            return
        pcm, pts, timeline = frame
        stream = self.stream
        header = stream.stamp(pts, timeline, now)
        if header is None:
            return
        if self._relayed:
            self._warm_encoder()
        payload = self._encoding.encode(pcm)
        stream.octets += len(payload)
        if stream.packets % LEVEL_EVERY == 1:
            self._meter.measure(pcm, now)
        transmit = self.transmit
        transmit(header + payload)

    def take(self, packet: OpusPacket, now: float) -> bool:
        """Relay a packet; dropped as frames are by `push`.

        Returns:
            False when the peer does not accept it: too long, or from a source that may exceed the
            peer's bit rate; or, in a steady stream, not a single mono frame of 20 ms.
        """
        if not self._sending or self._dtmf.pending:
            return True
        payload, samples, sequence, position, timeline, level_dbov = packet
        if samples > self._max_relayed_samples or len(payload) > _MAX_PAYLOAD:
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
        if count % REPORTED_EVERY == 1:
            self._meter.record(level_dbov, now)
        return True

    def start_sending(self, now: float) -> None:
        """Allow sending, and begin with silence; safe to repeat."""
        if not self.started:
            self.started = True
            self._apply(self._audio)
            self._fill(now)

    def send_digits(self, digits: str) -> bool:
        """Queue digits; return False if the peer accepts none or too many are queued."""
        return self._sending and self._dtmf.add(digits)

    @property
    def digits_pending(self) -> bool:
        """Whether digits are being sent, so that `tick` has work."""
        return self._dtmf.pending

    def tick(self, now: float) -> None:
        """Send the next packet of a digit and, in a steady stream, the silence that is due."""
        packet = self._dtmf.next_packet(self.stream, now) if self._dtmf.pending else None
        if packet is not None:
            self.transmit(packet)
        if self._steady:
            self._fill(now)

    def receive_report(self, loss: float, now: float) -> None:
        """Adapt FEC to the share of packets that the peer lost since its last report."""
        self._fec.report(loss, now)
        self._choose_encoder()

    def expire(self, now: float) -> None:
        """Let the level fall while nothing is sent, and follow the node's encoder budget."""
        self._choose_encoder()
        if now - self.stream.last_time >= STALE_SECONDS:
            self._meter.expire(self.stream.last_time, now)

    def statistics(self, reports: Reports) -> SentAudio:
        """Return the statistics so far, with what the peer reported about them."""
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
            noted_levels=self._meter.levels,
            quiet_levels=self._meter.quiet,
            measured_frames=self._meter.measured,
            clipped_frames=self._meter.clipped,
        )

    def _apply(self, audio: RemoteAudio) -> None:
        self._audio = audio
        # As the peer sees it: with "sendonly" it does not receive.
        self._sending = self.started and audio.direction in ("sendrecv", "recvonly")
        self._dtmf.renegotiate(audio.telephone_events if self._sending else {})
        maxptime = min(audio.maxptime or _MAX_MILLISECONDS, _MAX_MILLISECONDS)
        rate = parse_bitrate(audio.opus_parameters.get("maxaveragebitrate", ""))
        self._max_bitrate = rate
        # Without the parameter, the peer makes no use of FEC (RFC 7587 §6.1).
        self._fec_wanted = audio.opus_parameters.get("useinbandfec") == "1"
        # Peers are asked not to send more; one that accepts less gets encoded frames.
        fits = rate is None or rate >= MAX_AVERAGE_BITRATE
        self._max_relayed_samples = maxptime * _SAMPLES_PER_MILLISECOND if fits else 0

    def _fill(self, now: float) -> None:
        """Send the silence that is due where there is nothing else to send."""
        if not self._sending or self._dtmf.pending:
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
        expected = self._fec.expected_loss if self._fec_wanted else 0
        return choose(self._max_bitrate, level=self._encoder_budget.level, expected_loss=expected)

    def _warm_encoder(self) -> None:
        """Let the next frame continue the relayed packets without a break."""
        decoder = Decoder(self._opus)
        before = []
        for payload in self._relayed:
            with suppress(RemoteProtocolError):
                before.append(decoder.decode(payload))
        self._encoding.continue_from(before)
        self._relayed.clear()
