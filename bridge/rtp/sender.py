"""Sending to one peer: frames, forwarded packets and digits become one RTP stream."""

from collections import deque
from collections.abc import Hashable
from dataclasses import asdict
from typing import Final

from bridge.audio.buffer.packetizer import FRAME_MILLISECONDS, Packetizer, packet_milliseconds
from bridge.audio.codec.codec import OPUS, Codec
from bridge.audio.codec.coders import AudioEncoder, make_decoder, make_encoder
from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.audio.detect.echo import PacketSizes, Run
from bridge.audio.detect.level import LEVEL_EVERY
from bridge.audio.frame import FRAME_SECONDS, SILENCE, Frame
from bridge.call.model import SentAudio
from bridge.rtp.config import SessionConfig, Transmit, drop
from bridge.rtp.counters import SendCounters, restore_counters
from bridge.rtp.decoder_warmup import REPORTED_EVERY, WARMUP_PACKETS, decode_warmup
from bridge.rtp.dtmf import DtmfSender
from bridge.rtp.level_meter import LevelMeter
from bridge.rtp.offload import CODECS, SinkMode, SinkOffload, SinkState, coder_state
from bridge.rtp.opus_tuning import OpusTuning
from bridge.rtp.receiver import STALE_SECONDS
from bridge.rtp.reports import Reports
from bridge.rtp.silence_filler import SilenceFiller
from bridge.wire.rtp.stream import OutgoingStream, StreamStart
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio
from bridge.wire.snapshot.session import SenderSnapshot

_MAX_PAYLOAD: Final = 1275
"""Bytes of a forwarded payload; a longer one might not fit a datagram."""
_MAX_MILLISECONDS: Final = 120
_SAMPLES_PER_MILLISECOND: Final = 48
_FRAMES: Final = SinkMode.FRAMES  # bound once: compared for every frame


class RtpSender:
    """Sends one stream at a time; digits take precedence over audio."""

    __slots__ = (
        "_audio",
        "_codec",
        "_continuous",
        "_counters",
        "_encoder_budget",
        "_encoding",
        "_filler",
        "_forwarded",
        "_max_forwarded_samples",
        "_meter",
        "_offload",
        "_on_encoder",
        "_opus",
        "_packetizer",
        "_sending",
        "_tuning",
        "dtmf",
        "sizes",
        "started",
        "stream",
        "transmit",
    )

    def __init__(
        self, config: SessionConfig, *, audio: NegotiatedAudio, start: StreamStart
    ) -> None:
        self._opus, self._on_encoder = config.opus, config.on_encoder
        self._offload: SinkOffload | None = None
        self._filler = SilenceFiller()
        self._continuous, self.started = config.continuous, not config.continuous
        """Whether anything may be sent: in a continuous stream only after `start_sending`."""
        self.transmit: Transmit = drop
        """Protects and sends a packet; must not raise."""
        self._encoder_budget = config.encoder_budget
        self.dtmf, self._meter = DtmfSender(), LevelMeter()
        self.sizes = PacketSizes()
        """Of the latest packets that were forwarded; those of our own encoder hardly vary."""
        self._forwarded: deque[bytes] = deque(maxlen=WARMUP_PACKETS)
        self._counters = SendCounters()
        self.stream = _new_stream(audio, start).noted(config.ledger)
        """Owner of SSRC, sequence and timestamps."""
        self._tuning: OpusTuning | None = None
        self._packetizer: Packetizer | None = None
        self._begin_encoding(audio)
        self._apply(audio)

    def renegotiate(self, audio: NegotiatedAudio) -> None:
        """Apply what was negotiated: codec, direction, payload types, bit rate."""
        self.release()
        if audio.codec is not self._codec:
            self._forwarded.clear()
            self._begin_encoding(audio)
        elif self._tuning is not None:
            self._tuning.renegotiate(audio.parameters)
        self.stream.switch_to(audio.payload_type, audio.codec.clock_rate)
        self._apply(audio)

    def restart_source(self, audio: NegotiatedAudio, start: StreamStart) -> None:
        """Begin a new stream for another page in the peer's place; the totals stay."""
        self.release()
        self._counters.leave(self.stream)
        self.stream = _new_stream(audio, start).instead_of(self.stream)
        self._forwarded.clear()
        self._filler = SilenceFiller()
        self._begin_encoding(audio)
        self._apply(audio)

    def push(self, frame: Frame, now: float) -> None:
        """Encode and send a frame; dropped while digits are sent or the peer does not receive."""
        if not self._sending or self.dtmf.pending:
            return
        pcm, pts, epoch = frame
        offload = self._offload
        if offload is not None and offload.mode:
            if (
                offload.mode == _FRAMES
                and self.stream.continues(epoch)
                and offload.push(pcm, pts, now)
            ):
                return
            self.release()
        if self._packetizer is not None:
            self._push_packetized(self._packetizer, frame, now)
            return
        stream = self.stream
        header = stream.stamp(pts, epoch, now)
        if header is None:
            return
        if self._forwarded:
            self._warm_encoder()
        payload = self._encoding.encode(pcm)
        stream.octets += len(payload)
        if stream.packets % LEVEL_EVERY == 1:
            self._meter.measure(pcm, now)
        transmit = self.transmit
        transmit(header + payload)
        if self._continuous:
            self._filler.sent(now)
        if offload is not None:
            self.offload(SinkMode.FRAMES, epoch)

    def take(self, packet: EncodedPacket, now: float) -> bool:
        """Forward a packet; dropped as frames are by `push`.

        Returns:
            False when the peer does not accept it: another codec, too long, or from a source that
            may exceed the peer's bit rate; or, in a continuous stream or one with packets of another
            length, not a single mono frame of 20 ms.
        """
        if not self._sending or self.dtmf.pending:
            return True
        if self._offload is not None:
            self.release()
        payload, samples, sequence, position, epoch, level_dbov, codec = packet
        if (
            codec is not self._codec
            or samples > self._max_forwarded_samples
            or len(payload) > _MAX_PAYLOAD
            or self._packetizer is not None
        ):
            return False
        if self._continuous and not codec.is_frame(payload):
            return False
        stream = self.stream
        header = stream.stamp_forwarded(sequence, position, epoch, now, samples)
        if header is None:
            return True
        transmit = self.transmit
        transmit(header + payload)
        if self._continuous:
            self._filler.sent(now)
        stream.octets += len(payload)
        self.sizes.append(now, len(payload))
        self._forwarded.append(payload)
        self._counters.forwarded = count = self._counters.forwarded + 1
        if count % REPORTED_EVERY == 1:
            self._meter.record(level_dbov, now)
        return True

    @property
    def offloadable(self) -> bool:
        """Whether `offload` can succeed once the stream continues what it is asked for."""
        return self._offload is not None and self._codec in CODECS and self._packetizer is None

    def offload_to(self, offload: SinkOffload | None) -> None:
        """Offload the stream to this from now on, where `offload` is asked to; None: to nothing."""
        self.release()
        self._offload = offload

    def offload(
        self, mode: SinkMode, epoch: object, codec: Codec | None = None
    ) -> SinkOffload | None:
        """Offload the stream for frames, or packets of a codec, that continue this media epoch; None where impossible."""
        offload, ready = self._offload, self.offloadable and self._sending
        if offload is None or not ready or self.dtmf.pending or codec not in (None, self._codec):
            return None
        if offload.mode == mode and self.stream.continues(epoch):
            return offload
        self.release()
        covered, encoder = self._filler.export_state(), coder_state(self._encoding)
        passthrough = mode is SinkMode.PACKETS
        continues = passthrough or (encoder and not self._forwarded)
        if not continues or (self._continuous and covered is None):
            return None
        state = offload.state
        if not self.stream.export_state(state, epoch, forwarded=passthrough):
            return None
        state.continuous, state.covered = self._continuous, covered or 0.0
        state.forwarded_packets = self._counters.forwarded
        state.max_samples = self._max_forwarded_samples
        self._meter.export_state(state.meter)
        offload.begin(mode, *(encoder or (None, b"")), codec=self._codec)
        return offload

    def sync(self) -> None:
        """Copy back what an offload has sent; it goes on."""
        offload = self._offload
        if offload is not None and offload.mode:
            self._account(offload.state, offload.sync())

    def _follow_offload(self) -> None:
        """Let the silence of a continuous stream begin after what an offload has sent."""
        if self._continuous and self._offload is not None and self._offload.mode:
            self._filler.import_state(self._offload.covered)

    def release(self) -> None:
        """End an offload: what follows may not continue the stream."""
        offload = self._offload
        if offload is None or not offload.mode:
            return
        passthrough, (run, kept) = offload.mode == SinkMode.PACKETS, offload.end()
        self._account(offload.state, run)
        if passthrough:
            self._forwarded.extend(kept)
        else:
            self._encoding.encoded(kept)

    def _account(self, state: SinkState, run: Run) -> None:
        stream = self.stream
        if state.packets == stream.packets and state.dropped == stream.dropped:
            return
        stream.import_state(state)
        self._meter.import_state(state.meter)
        self._counters.forwarded = state.forwarded_packets
        self.sizes.extend(run)
        if self._continuous:
            self._filler.import_state(state.covered)

    def send_digits(self, digits: str) -> bool:
        """Queue digits to send instead of audio (`DtmfSender.add`)."""
        self.release()
        return self.dtmf.add(digits)

    def start_sending(self, now: float) -> None:
        """Allow sending, and begin with silence; safe to repeat."""
        if not self.started:
            self.started = True
            self._apply(self._audio)
            self._fill(now)

    def tick(self, now: float) -> None:
        """Send the next packet of a digit and, in a continuous stream, the silence that is due."""
        self._follow_offload()
        packet = self.dtmf.next_packet(self.stream, now) if self.dtmf.pending else None
        if packet is not None:
            self.transmit(packet)
            self._filler.sent(now)
        if self._continuous:
            self._fill(now)

    def next_tick(self, now: float) -> float:
        """Return when `tick` must be called next, unless something is sent before."""
        self._follow_offload()
        if self._sending and not self.dtmf.pending:
            return self._filler.wake_at(now)
        return now + FRAME_SECONDS

    def receive_report(self, loss: float, now: float) -> None:
        """Adapt FEC to the share of packets that the peer lost since its last report."""
        if self._tuning is not None:
            self._tuning.receive_report(loss, now)
            self._tune()

    def expire(self, now: float) -> None:
        """Let the level fall while nothing is sent, and follow the node's encoder budget."""
        self.sync()
        self._tune()
        if now - self.stream.last_time >= STALE_SECONDS:
            self.release()
            self._meter.expire(self.stream.last_time, now)

    def statistics(self, reports: Reports) -> SentAudio:
        """Return the statistics so far, with what the peer reported about them."""
        self.sync()
        fec = self._tuning is not None and self._tuning.fec
        return self._counters.statistics(self.stream, reports, self._meter, fec=fec)

    def snapshot(self) -> SenderSnapshot:
        """Return what another sender goes on with; nothing is offloaded."""
        return SenderSnapshot(
            numbering=self.stream.numbering(),
            started=self.started,
            covered=self._filler.export_state(),
            counters=asdict(self._counters),
            meter=self._meter.snapshot(),
            dtmf=self.dtmf.snapshot(),
        )

    def restore(self, snapshot: SenderSnapshot) -> None:
        """Go on with another's stream, in a new media epoch."""
        self.stream = OutgoingStream.resumed(snapshot.numbering).instead_of(self.stream)
        self.started = snapshot.started
        restore_counters(self._counters, snapshot.counters)
        self._meter.restore(snapshot.meter)
        self._apply(self._audio)
        self.dtmf.restore(snapshot.dtmf)
        self._filler.import_state(snapshot.covered or 0.0)

    def _apply(self, audio: NegotiatedAudio) -> None:
        self._audio, self._codec = audio, audio.codec
        # As the peer sees it: with "sendonly" it does not receive.
        self._sending = self.started and audio.direction in ("sendrecv", "recvonly")
        events = audio.telephone_events if self._sending else {}
        self.dtmf.renegotiate(events, audio.codec.clock_rate)
        maxptime = min(audio.maxptime or _MAX_MILLISECONDS, _MAX_MILLISECONDS)
        # A peer that accepts less than others may send gets encoded frames.
        fits = self._tuning is None or self._tuning.takes_any_bitrate
        self._max_forwarded_samples = maxptime * _SAMPLES_PER_MILLISECOND if fits else 0
        length = packet_milliseconds(audio.ptime, audio.maxptime)
        if audio.codec is OPUS or length == FRAME_MILLISECONDS:
            self._packetizer = None
        elif self._packetizer is None or self._packetizer.milliseconds != length:
            self._packetizer = Packetizer(length)

    def _tune(self) -> None:
        """Update the encoder's settings if the budget or the peer's loss has changed them."""
        if self._tuning is not None and self._tuning.outdated:
            self.release()
            self._tuning.choose()

    def _fill(self, now: float) -> None:
        """Send the silence that is due where there is nothing else to send."""
        if not self._sending or self.dtmf.pending or not self._filler.is_due(now):
            return
        self.release()
        stream = self.stream
        for position in self._filler.due(now):
            if self._filler.begins:
                self._forwarded.clear()
                self._encoding.continue_from((SILENCE,))
            payload, epoch = self._encoding.silence(), self._filler.epoch
            if self._packetizer is not None:
                self._packetize(self._packetizer, payload, position, epoch, now)
                continue
            header = stream.stamp(position, epoch, now)
            if header is not None:
                stream.octets += len(payload)
                self.transmit(header + payload)

    def _push_packetized(self, packetizer: Packetizer, frame: Frame, now: float) -> None:
        pcm, pts, epoch = frame
        if packetizer.frames % LEVEL_EVERY == 0:
            self._meter.measure(pcm, now)
        self._packetize(packetizer, self._encoding.encode(pcm), pts, epoch, now)
        self._filler.sent(now)

    def _packetize(
        self, packetizer: Packetizer, payload: bytes, pts: int, epoch: Hashable, now: float
    ) -> None:
        """Send the packets that an encoded frame completes."""
        stream = self.stream
        for part, position in packetizer.add(payload, pts, epoch):
            samples = len(part) * self._codec.positions_per_octet
            header = stream.stamp(position, epoch, now, samples)
            if header is not None:
                stream.octets += len(part)
                self.transmit(header + part)

    def _begin_encoding(self, audio: NegotiatedAudio) -> None:
        """Make the encoder of a new stream or codec."""
        if audio.codec is not OPUS:
            self._tuning = None
            self._encoding: AudioEncoder = make_encoder(audio.codec)
            return
        self._tuning = OpusTuning(
            self._opus, audio.parameters, budget=self._encoder_budget, on_encoder=self._on_encoder
        )
        self._encoding = self._tuning.encoding

    def _warm_encoder(self) -> None:
        """Let the next frame continue the forwarded packets without a break."""
        decoder = make_decoder(self._codec, self._opus)
        self._encoding.continue_from(decode_warmup(decoder, self._forwarded))
        self._forwarded.clear()


def _new_stream(audio: NegotiatedAudio, start: StreamStart) -> OutgoingStream:
    return OutgoingStream(
        payload_type=audio.payload_type, clock_rate=audio.codec.clock_rate, **start._asdict()
    )
