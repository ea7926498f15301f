"""The RTP session with one peer: frames out of its packets, packets out of our frames.

It stands between unprotected packets and the bus. Everything happens in the caller's turn: nothing
is queued but one packet out of order and the digits to send, and nothing waits.
"""

from collections.abc import Callable
from typing import TypeAlias

from bridge.audio.encoder_level import EncoderBudget
from bridge.audio.frame import Push
from bridge.audio.opus import EncoderSettings, Opus
from bridge.audio.opus_packet import OpusPacket
from bridge.call.ends import Relay
from bridge.call.model import LegStatistics
from bridge.errors import RemoteProtocolError
from bridge.rtp.receiver import RtpReceiver
from bridge.rtp.reports import Reports
from bridge.rtp.sender import RtpSender, StreamStart
from bridge.wire.sdp import RemoteAudio

__all__ = ["RtpSession", "StreamStart"]

Take: TypeAlias = Callable[[OpusPacket, float], bool]
"""Takes a packet as it is; False when its frames are needed instead."""


class RtpSession:
    """Sends to and receives from one peer; a source and a sink of the bus."""

    steady = False

    __slots__ = (
        "_incoming",
        "_malformed",
        "_outgoing",
        "_reports",
        "_transmit_rtcp",
        "push",
        "receive_rtp",
        "relays",
        "take",
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
        schedule_tick: Callable[[float], None],
        relays: bool = True,
        encoder_budget: EncoderBudget | None = None,
        steady: bool = False,
        on_encoder: Callable[[EncoderSettings], None] = lambda _: None,
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
            schedule_tick: Asked to call `tick` after so many seconds: a packet is held back.
            relays: Whether packets may pass between this session and another undecoded.
            encoder_budget: What encoding may cost; None for no limit.
            steady: Whether the peer is to be sent nothing before `start_sending`, and packets
                without a pause from then on, silence included.
            on_encoder: Told what is encoded with, at first and whenever that changes.
        """
        self.relays = relays
        self._transmit_rtcp = transmit_rtcp
        self._incoming = RtpReceiver(opus, on_digit=on_digit, schedule_tick=schedule_tick)
        self._incoming.adopt(audio)
        self._outgoing = RtpSender(
            opus,
            audio=audio,
            start=start,
            transmit=transmit,
            encoder_budget=encoder_budget or EncoderBudget(),
            steady=steady,
            on_encoder=on_encoder,
        )
        self._reports = Reports(cname)
        self._malformed = 0
        # What is called for every packet goes straight to the half that does it.
        self.receive_rtp: Callable[[bytes, float], None] = self._incoming.receive
        """Takes an unprotected RTP packet; one that makes no sense is counted and dropped."""
        self.push: Push = self._outgoing.push
        """Encodes and sends a frame; dropped while digits are sent or the peer wants no sound."""
        self.take: Take = self._outgoing.take
        """Sends another peer's packet as it is; False when it does not fit this peer."""

    def carry_over(
        self, transmit: Callable[[bytes], None], transmit_rtcp: Callable[[bytes], None]
    ) -> None:
        """Send by another road from now on; neither may raise."""
        self._outgoing.transmit = transmit
        self._transmit_rtcp = transmit_rtcp

    @property
    def ssrc(self) -> int:
        """Of our stream."""
        return self._outgoing.stream.ssrc

    def renegotiate(self, audio: RemoteAudio) -> None:
        """Take over a new offer on the same transport: direction, payload types, bit rate."""
        self._outgoing.renegotiate(audio)
        self._incoming.adopt(audio)

    def restart_source(self, audio: RemoteAudio, start: StreamStart) -> None:
        """Continue with a peer that has restarted (a reloaded page).

        Both directions get new streams; the totals, and where frames go, stay.
        """
        self._outgoing.restart_source(audio, start)
        self._incoming.restart_source()
        self._incoming.adopt(audio)
        self._reports.forget()

    @property
    def loss_ratio(self) -> float:
        """The share of our packets that the peer last reported lost, 0 to 1."""
        return self._reports.remote_loss_ratio

    def attach(self, push: Push | None, relay: Relay | None = None) -> None:
        """Set where frames and undecoded packets go, within `receive_rtp` and `tick`."""
        self._incoming.attach(push, relay)

    def receive_rtcp(self, data: bytes, now: float) -> None:
        """Take an unprotected RTCP packet; one that makes no sense is counted and dropped."""
        try:
            about_us = self._reports.receive(
                data, ssrc=self.ssrc, reception=self._incoming.reception, now=now
            )
        except RemoteProtocolError:
            self._malformed += 1
            return
        if about_us:
            self._outgoing.hear_report(self._reports.remote_loss_ratio, now)

    def report(self, now: float, wall: float, *, goodbye: bool = False) -> None:
        """Send an RTCP report; to be called about once a second, and with `goodbye` at the end.

        A steady session sends nothing before `start_sending`.

        Args:
            now: Monotonic seconds.
            wall: Unix time of the same moment.
            goodbye: Whether this is the last packet.
        """
        self._incoming.age(now)
        self._outgoing.age(now)
        if not self._outgoing.started:
            return
        self._transmit_rtcp(
            self._reports.compose(
                self._outgoing.stream,
                self._incoming.reception,
                now=now,
                wall=wall,
                relay_loss_ratio=self._incoming.relay_loss_ratio,
                goodbye=goodbye,
            )
        )

    def send_digits(self, digits: str) -> bool:
        """Queue digits (0-9, *, #, A-D); each takes 160 ms, in which no sound is sent.

        Returns:
            False, and nothing is sent, when the peer takes none or too many wait already.
        """
        return self._outgoing.send_digits(digits)

    @property
    def digits_pending(self) -> bool:
        """Whether digits are being sent, so that `tick` has work."""
        return self._outgoing.digits_pending

    @property
    def needs_tick(self) -> bool:
        """Whether `tick` has work: digits, or a packet held back."""
        return self._outgoing.digits_pending or self._incoming.holding

    def tick(self, now: float) -> None:
        """Send what is due of digits and silence, and release a packet held back for too long.

        To be called every 20 ms while `digits_pending`, and from `start_sending` on in a steady
        session, where late calls are made up for; also when `schedule_tick` asks for it.
        """
        self._incoming.tick(now)
        self._outgoing.tick(now)

    def start_sending(self, now: float) -> None:
        """Let a steady session send, beginning with silence; safe to repeat."""
        self._outgoing.start_sending(now)

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
        return LegStatistics(
            received=self._incoming.statistics(),
            sent=self._outgoing.statistics(self._reports),
            round_trip_seconds=self._reports.round_trip_seconds,
        )
