"""What one peer hears: from frames and digits to its RTP packets."""

from collections.abc import Callable
from typing import NamedTuple

from bridge.audio.frame import Frame
from bridge.audio.level import SILENT, level
from bridge.audio.opus import Encoder, EncoderSettings, Opus
from bridge.audio.rung import choose, parse_bitrate
from bridge.call.model import SentAudio
from bridge.rtc.digits import DigitSender
from bridge.rtc.incoming import LEVEL_EVERY, STALE_SECONDS
from bridge.rtc.reports import Reports
from bridge.wire.rtp import OutgoingStream
from bridge.wire.sdp import RemoteAudio


class StreamStart(NamedTuple):
    """The numbers an outgoing stream begins with; all unpredictable to strangers."""

    ssrc: int
    sequence: int
    """15 bits, so that a loss at the start cannot confuse SRTP's roll-over counter."""
    timestamp: int
    """32 bits."""


class Outgoing:
    """Sends one stream at a time; digits take precedence over sound."""

    __slots__ = (
        "_bytes_before",
        "_digits",
        "_dropped_before",
        "_encoder",
        "_level",
        "_opus",
        "_packets_before",
        "_sends",
        "_transmit",
        "stream",
    )

    def __init__(
        self,
        opus: Opus,
        *,
        audio: RemoteAudio,
        start: StreamStart,
        transmit: Callable[[bytes], None],
    ) -> None:
        self._opus = opus
        self._transmit = transmit
        self._encoder = Encoder(opus, _encoder_settings(audio))
        self._digits = DigitSender()
        self._level = SILENT
        self._packets_before = 0
        self._bytes_before = 0
        self._dropped_before = 0
        self.stream = _stream(audio, start)
        """The one owner of the numbers in our packets."""
        self._adopt(audio)

    def renegotiate(self, audio: RemoteAudio) -> None:
        """Take over what was negotiated: direction, payload types, bit rate."""
        settings = _encoder_settings(audio)
        if settings != self._encoder.settings:
            self._encoder = Encoder(self._opus, settings)
        self.stream.payload_type = audio.opus_payload_type
        self._adopt(audio)

    def renew(self, audio: RemoteAudio, start: StreamStart) -> None:
        """Begin a new stream, for another page in the peer's place; the totals go on."""
        before = self.stream
        self._packets_before += before.packets
        self._bytes_before += before.octets
        self._dropped_before += before.dropped
        self.stream = _stream(audio, start)
        self._encoder = Encoder(self._opus, _encoder_settings(audio))
        self._adopt(audio)

    def push(self, frame: Frame, now: float) -> None:
        """Encode and send a frame; dropped while digits are sent or the peer wants no sound."""
        if not self._sends or self._digits.pending:
            return
        stream = self.stream
        header = stream.stamp(frame.pts, frame.timeline, now)
        if header is None:
            return
        payload = self._encoder.encode(frame.pcm)
        stream.octets += len(payload)
        if stream.packets % LEVEL_EVERY == 0:
            self._level = level(frame.pcm)
        self._transmit(header + payload)

    def send_digits(self, digits: str) -> bool:
        """Queue digits; False when the peer takes none or too many wait already."""
        return self._sends and self._digits.add(digits)

    @property
    def digits_pending(self) -> bool:
        """Whether digits are being sent, so that `pulse` has work."""
        return self._digits.pending

    def pulse(self, now: float) -> None:
        """Send the next packet of a digit, if it is time for one."""
        packet = self._digits.next_packet(self.stream, now)
        if packet is not None:
            self._transmit(packet)

    def age(self, now: float) -> None:
        """Let the level fall when nothing is sent."""
        if now - self.stream.last_time >= STALE_SECONDS:
            self._level = SILENT

    def statistics(self, reports: Reports) -> SentAudio:
        """Give the figures until now, with what the peer reported about them."""
        stream = self.stream
        return SentAudio(
            packets=self._packets_before + stream.packets,
            bytes=self._bytes_before + stream.octets,
            dropped_frames=self._dropped_before + stream.dropped,
            remote_lost=reports.remote_lost,
            remote_loss_ratio=reports.remote_loss_ratio,
            remote_jitter_seconds=reports.remote_jitter_seconds,
            level_dbov=self._level,
        )

    def _adopt(self, audio: RemoteAudio) -> None:
        # The direction is as the peer says it: "sendonly" is one that does not listen.
        self._sends = audio.direction in ("sendrecv", "recvonly")
        self._digits.use(audio.telephone_events if self._sends else {})


def _stream(audio: RemoteAudio, start: StreamStart) -> OutgoingStream:
    return OutgoingStream(
        ssrc=start.ssrc,
        payload_type=audio.opus_payload_type,
        sequence=start.sequence,
        timestamp=start.timestamp,
    )


def _encoder_settings(audio: RemoteAudio) -> EncoderSettings:
    return choose(parse_bitrate(audio.opus_parameters.get("maxaveragebitrate", "")))
