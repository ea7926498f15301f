"""The RTP session with one peer, between unprotected packets and the bus.

Everything happens synchronously; only one out-of-order packet and the digits to send are queued.
"""

from collections.abc import Callable

from bridge.audio.encoder_level import EncoderBudget
from bridge.audio.frame import Push
from bridge.audio.opus import EncoderSettings, Opus
from bridge.call.ends import Relay
from bridge.call.model import LegStatistics
from bridge.errors import RemoteProtocolError
from bridge.rtp.receiver import RtpReceiver
from bridge.rtp.reports import Reports
from bridge.rtp.sender import RtpSender, StreamStart
from bridge.wire.sdp import RemoteAudio

__all__ = ["RtpSession", "StreamStart"]


class RtpSession:
    """Sends to and receives from one peer; a source and a sink of the bus."""

    steady = False

    __slots__ = (
        "_malformed",
        "_receiver",
        "_reports",
        "_sender",
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
            audio: What was negotiated.
            start: The first numbers of our stream.
            cname: Our canonical name in RTCP.
            transmit: Sends an RTP packet; must not raise.
            transmit_rtcp: Sends an RTCP packet; must not raise.
            on_digit: Called once with each digit the peer sends; must not raise.
            schedule_tick: Called with the seconds after which to call `tick`.
            relays: Whether packets may pass undecoded between this session and another.
            encoder_budget: Limits the cost of encoding; None for no limit.
            steady: Whether nothing may be sent before `start_sending`, and packets without a pause
                from then on, silence included.
            on_encoder: Called with the encoder's settings, at first and when they change.
        """
        self.relays = relays
        self._transmit_rtcp = transmit_rtcp
        self._receiver = RtpReceiver(opus, on_digit=on_digit, schedule_tick=schedule_tick)
        self._receiver.renegotiate(audio)
        self._sender = RtpSender(
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
        # Called for every packet, so without a method of this class in between.
        self.receive_rtp = self._receiver.receive
        """Processes an unprotected RTP packet; drops and counts malformed ones."""
        self.push = self._sender.push
        """Encodes and sends a frame; dropped while digits are sent or the peer does not receive."""
        self.take = self._sender.take
        """Relays another peer's packet; False when this peer does not accept it."""

    def set_transmit(
        self, transmit: Callable[[bytes], None], transmit_rtcp: Callable[[bytes], None]
    ) -> None:
        """Send by another transport from now on; neither may raise."""
        self._sender.transmit = transmit
        self._transmit_rtcp = transmit_rtcp

    @property
    def ssrc(self) -> int:
        """The SSRC of our stream."""
        return self._sender.stream.ssrc

    def renegotiate(self, audio: RemoteAudio) -> None:
        """Apply a new offer on the same transport: direction, payload types, bit rate."""
        self._sender.renegotiate(audio)
        self._receiver.renegotiate(audio)

    def restart_source(self, audio: RemoteAudio, start: StreamStart) -> None:
        """Continue with a peer that has restarted (a reloaded page).

        Both directions get new streams; the totals, and where frames go, stay.
        """
        self._sender.restart_source(audio, start)
        self._receiver.restart_source()
        self._receiver.renegotiate(audio)
        self._reports.reset()

    @property
    def loss_ratio(self) -> float:
        """The share of our packets that the peer last reported lost (0 to 1)."""
        return self._reports.remote_loss_ratio

    def attach(self, push: Push | None, relay: Relay | None = None) -> None:
        """Set where `receive_rtp` and `tick` deliver frames and undecoded packets."""
        self._receiver.attach(push, relay)

    def receive_rtcp(self, data: bytes, now: float) -> None:
        """Process an unprotected RTCP packet; drop and count malformed ones."""
        try:
            about_us = self._reports.receive(
                data, ssrc=self.ssrc, reception=self._receiver.reception, now=now
            )
        except RemoteProtocolError:
            self._malformed += 1
            return
        if about_us:
            self._sender.receive_report(self._reports.remote_loss_ratio, now)

    def report(self, now: float, wall: float, *, goodbye: bool = False) -> None:
        """Send an RTCP report; to be called about once a second.

        A steady session sends nothing before `start_sending`.

        Args:
            now: Monotonic seconds.
            wall: Unix time at `now`.
            goodbye: Whether this is the last report.
        """
        self._receiver.expire(now)
        self._sender.expire(now)
        if not self._sender.started:
            return
        self._transmit_rtcp(
            self._reports.compose(
                self._sender.stream,
                self._receiver.reception,
                now=now,
                wall=wall,
                relay_loss_ratio=self._receiver.relay_loss_ratio,
                goodbye=goodbye,
            )
        )

    def send_digits(self, digits: str) -> bool:
        """Queue digits (0-9, *, #, A-D); each takes 160 ms, during which no audio is sent.

        Returns:
            False, with nothing queued, when the peer accepts none or too many are queued.
        """
        return self._sender.send_digits(digits)

    @property
    def digits_pending(self) -> bool:
        """Whether digits are being sent."""
        return self._sender.digits_pending

    @property
    def needs_tick(self) -> bool:
        """Whether `tick` has work: digits, or a packet that is held back."""
        return self._sender.digits_pending or self._receiver.holding

    def tick(self, now: float) -> None:
        """Send the digits and silence that are due, and release a packet held back for too long.

        To be called every 20 ms while `digits_pending`, and from `start_sending` on in a steady
        session, where late calls are made up for; also when `schedule_tick` asks for it.
        """
        self._receiver.tick(now)
        self._sender.tick(now)

    def start_sending(self, now: float) -> None:
        """Let a steady session send, beginning with silence; safe to repeat."""
        self._sender.start_sending(now)

    def last_received(self) -> float | None:
        """Return when the last RTP packet came (monotonic seconds); None before the first."""
        return self._receiver.last_received

    @property
    def malformed(self) -> int:
        """RTP and RTCP packets that could not be parsed, and Opus that libopus refused."""
        return self._malformed + self._receiver.malformed

    def statistics(self) -> LegStatistics:
        """Return the statistics so far; the transport adds `discarded`."""
        return LegStatistics(
            received=self._receiver.statistics(),
            sent=self._sender.statistics(self._reports),
            round_trip_seconds=self._reports.round_trip_seconds,
        )
