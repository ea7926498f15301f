"""The RTP session with one peer: frames out of its packets, packets out of our frames.

It stands between unprotected packets and the bus. Everything happens in the caller's turn: nothing
is queued but one packet out of order and the digits to send, and nothing waits.
"""

from collections.abc import Callable
from typing import NamedTuple

from bridge.audio.frame import Frame, Push
from bridge.audio.level import SILENT, level
from bridge.audio.opus import Encoder, EncoderSettings, Opus
from bridge.audio.rung import choose, parse_bitrate
from bridge.call.model import LegStatistics, SentAudio
from bridge.errors import RemoteProtocolError
from bridge.rtc.digits import DigitSender
from bridge.rtc.incoming import LEVEL_EVERY, STALE_SECONDS, Incoming
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


class RtpSession:
    """Sends to and receives from one peer; a source and a sink of the bus."""

    timed = True
    steady = False

    __slots__ = (
        "_digits",
        "_dropped_before",
        "_encoder",
        "_incoming",
        "_level",
        "_malformed",
        "_opus",
        "_reports",
        "_sends",
        "_sent_bytes_before",
        "_sent_packets_before",
        "_stream",
        "_transmit",
        "_transmit_rtcp",
    )

    def __init__(  # noqa: PLR0913  (all by keyword)
        self,
        *,
        opus: Opus,
        audio: RemoteAudio,
        start: StreamStart,
        cname: str,
        transmit: Callable[[bytes], None],
        transmit_rtcp: Callable[[bytes], None],
        on_digit: Callable[[str], None],
        wake: Callable[[float], None],
    ) -> None:
        """Begin a session.

        Args:
            opus: The loaded library.
            audio: What the peer negotiated.
            start: Of our stream.
            cname: Our canonical name in RTCP.
            transmit: Protects and sends an RTP packet; must not raise.
            transmit_rtcp: The same for RTCP.
            on_digit: Told each digit the peer sends, once; must not raise.
            wake: Asked to call `pulse` after so many seconds: a packet is being held back.
        """
        self._opus = opus
        self._transmit = transmit
        self._transmit_rtcp = transmit_rtcp
        self._incoming = Incoming(opus, on_digit=on_digit, wake=wake)
        self._encoder = Encoder(opus, _encoder_settings(audio))
        self._stream = _stream(audio, start)
        self._reports = Reports(cname)
        self._digits = DigitSender()
        self._malformed = 0
        self._level = SILENT
        self._sent_packets_before = 0
        self._sent_bytes_before = 0
        self._dropped_before = 0
        self._adopt(audio)

    @property
    def ssrc(self) -> int:
        """Of our stream."""
        return self._stream.ssrc

    def renegotiate(self, audio: RemoteAudio) -> None:
        """Take over a new offer on the same transport: direction, payload types, bit rate."""
        settings = _encoder_settings(audio)
        if settings != self._encoder.settings:
            self._encoder = Encoder(self._opus, settings)
        self._stream.payload_type = audio.opus_payload_type
        self._adopt(audio)

    def renew(self, audio: RemoteAudio, start: StreamStart) -> None:
        """Go on with a peer that has begun anew (a reloaded page).

        Both directions get new streams; the totals, and where frames go, stay.
        """
        before = self._stream
        self._sent_packets_before += before.packets
        self._sent_bytes_before += before.octets
        self._dropped_before += before.dropped
        self._stream = _stream(audio, start)
        self._encoder = Encoder(self._opus, _encoder_settings(audio))
        self._incoming.renew()
        self._reports.forget()
        self._adopt(audio)

    def attach(self, push: Push | None) -> None:
        """Set where decoded frames go; they go there within `receive_rtp` and `pulse`."""
        self._incoming.push = push

    def pull(self) -> bytes | None:
        """Give nothing: frames come by themselves."""
        return None

    def push(self, frame: Frame, now: float) -> None:
        """Encode and send a frame; dropped while digits are sent or the peer wants no sound."""
        if not self._sends or self._digits.pending:
            return
        stream = self._stream
        header = stream.stamp(frame.pts, frame.timeline, now)
        if header is None:
            return
        payload = self._encoder.encode(frame.pcm)
        stream.octets += len(payload)
        if stream.packets % LEVEL_EVERY == 0:
            self._level = level(frame.pcm)
        self._transmit(header + payload)

    def receive_rtp(self, data: bytes, now: float) -> None:
        """Take an unprotected RTP packet; one that makes no sense is counted and dropped."""
        self._incoming.receive(data, now)

    def receive_rtcp(self, data: bytes, now: float) -> None:
        """Take an unprotected RTCP packet; one that makes no sense is counted and dropped."""
        try:
            self._reports.receive(
                data, ssrc=self._stream.ssrc, reception=self._incoming.reception, now=now
            )
        except RemoteProtocolError:
            self._malformed += 1

    def report(self, now: float, wall: float, *, goodbye: bool = False) -> None:
        """Send an RTCP report; to be called about once a second, and with `goodbye` at the end.

        Args:
            now: Monotonic seconds.
            wall: Unix time of the same moment.
            goodbye: Whether this is the last packet.
        """
        self._incoming.age(now)
        if now - self._stream.last_time >= STALE_SECONDS:
            self._level = SILENT
        self._transmit_rtcp(
            self._reports.compose(
                self._stream, self._incoming.reception, now=now, wall=wall, goodbye=goodbye
            )
        )

    def send_digits(self, digits: str) -> bool:
        """Queue digits (0-9, *, #, A-D); each takes 160 ms, in which no sound is sent.

        Returns:
            False, and nothing is sent, when the peer takes none or too many wait already.
        """
        return self._sends and self._digits.add(digits)

    @property
    def digits_pending(self) -> bool:
        """Whether digits are being sent, so that `pulse` has work."""
        return self._digits.pending

    @property
    def needs_pulse(self) -> bool:
        """Whether `pulse` has work: digits, or a packet held back."""
        return self._digits.pending or self._incoming.holding

    def pulse(self, now: float) -> None:
        """Send the next packet of a digit, and play a held packet that has waited long enough.

        To be called every 20 ms while `digits_pending`, and when `wake` asks for it.
        """
        self._incoming.pulse(now)
        packet = self._digits.next_packet(self._stream, now)
        if packet is not None:
            self._transmit(packet)

    def last_received(self) -> float | None:
        """When the last RTP packet came, in monotonic seconds; None before the first."""
        return self._incoming.last_received

    @property
    def malformed(self) -> int:
        """RTP and RTCP packets that could not be read, and Opus that libopus refused."""
        return self._malformed + self._incoming.malformed

    @property
    def unknown_payloads(self) -> int:
        """RTP packets of a payload type that was not negotiated; dropped."""
        return self._incoming.unknown_payloads

    def statistics(self) -> LegStatistics:
        """Give the figures until now; `discarded` is the transport's to add."""
        stream, reports = self._stream, self._reports
        return LegStatistics(
            received=self._incoming.statistics(),
            sent=SentAudio(
                packets=self._sent_packets_before + stream.packets,
                bytes=self._sent_bytes_before + stream.octets,
                dropped_frames=self._dropped_before + stream.dropped,
                remote_lost=reports.remote_lost,
                remote_loss_ratio=reports.remote_loss_ratio,
                remote_jitter_seconds=reports.remote_jitter_seconds,
                level_dbov=self._level,
            ),
            round_trip_seconds=reports.round_trip_seconds,
        )

    def _adopt(self, audio: RemoteAudio) -> None:
        # The direction is as the peer says it: "sendonly" is one that does not listen.
        self._sends = audio.direction in ("sendrecv", "recvonly")
        self._digits.use(audio.telephone_events if self._sends else {})
        self._incoming.adopt(audio)


def _stream(audio: RemoteAudio, start: StreamStart) -> OutgoingStream:
    return OutgoingStream(
        ssrc=start.ssrc,
        payload_type=audio.opus_payload_type,
        sequence=start.sequence,
        timestamp=start.timestamp,
    )


def _encoder_settings(audio: RemoteAudio) -> EncoderSettings:
    return choose(parse_bitrate(audio.opus_parameters.get("maxaveragebitrate", "")))
