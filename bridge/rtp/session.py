"""The RTP session with one peer, between unprotected packets and the bus.

Everything happens synchronously; only one out-of-order packet and the digits to send are queued.
"""

from collections.abc import Callable, Mapping
from typing import Final

from bridge.audio.codec.codec import Codec
from bridge.audio.detect.echo import EchoDetector
from bridge.call.model import LegStatistics
from bridge.errors import RemoteProtocolError
from bridge.rtp.config import SessionConfig, Transmit, drop
from bridge.rtp.offload import Offload
from bridge.rtp.receiver import RtpReceiver
from bridge.rtp.reports import Reports
from bridge.rtp.sender import RtpSender
from bridge.rtp.session_snapshot import receiver_snapshot, restore_receiver
from bridge.wire.crash_marks import CrashMarks
from bridge.wire.rtp.stream import Numbering, StreamStart
from bridge.wire.rtp.used_numbers import UsedNumbers
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio
from bridge.wire.snapshot.session import AudioSnapshot, SessionSnapshot

_ECHO_PHASES: Final = 64
"""Moments at which the echo of a session is looked for, of those of all sessions."""


class RtpSession:
    """Sends to and receives from one peer; a source and a sink of the bus."""

    always_clocked = False

    def __init__(  # noqa: PLR0913  (all but one by keyword)
        self,
        config: SessionConfig,
        *,
        audio: NegotiatedAudio,
        start: StreamStart,
        cname: str,
        on_digit: Callable[[str], None],
        schedule_tick: Callable[[float], None],
        discarded: Mapping[str, int],
    ) -> None:
        """Begin a session, which sends nothing before `set_transmit`; no callback may raise.

        Args:
            config: How it encodes and sends.
            audio: What was negotiated.
            start: The first numbers of our stream.
            cname: Our canonical name in RTCP.
            on_digit: Called once with each digit the peer sends.
            schedule_tick: Called with the seconds after which to call `tick`.
            discarded: What the transport discarded so far, by reason.
        """
        self.marks = CrashMarks() if config.ledger is None else config.ledger.marks
        """Where what receives for it notes that it works on its call."""
        self._passthrough = config.passthrough
        self._audio, self._codec = audio, audio.codec
        self._transmit_rtcp: Transmit = drop
        self._receiver = RtpReceiver(
            config.opus, audio=audio, on_digit=on_digit, schedule_tick=schedule_tick
        )
        self._sender = RtpSender(config, audio=audio, start=start)
        self._reports = Reports(cname, clock_rate=audio.codec.clock_rate)
        self._echo = EchoDetector(start.ssrc % _ECHO_PHASES / _ECHO_PHASES)
        self._malformed = 0
        self._discarded = discarded
        # The first three are called for every packet, so without a method of this class in between.
        self.receive_rtp = self._receiver.receive
        self.push = self._sender.push
        self.take = self._sender.take
        self.attach = self._receiver.attach
        self.filter = self._receiver.filter
        """What belongs to the audio; a transport may ask it before it spends anything on a packet."""
        self.flush = self._receiver.sync
        self.start_sending = self._sender.start_sending
        self.send_digits = self._sender.send_digits

    def set_transmit(
        self,
        transmit: Transmit,
        transmit_rtcp: Transmit,
        offload: Offload | None = None,
    ) -> None:
        """Send by another transport from now on; neither may raise.

        Packets that are as expected may be offloaded to `offload`, which then receives and sends them itself.
        """
        self._receiver.offload_to(None if offload is None else offload.source)
        self._sender.offload_to(None if offload is None else offload.sink)
        self._sender.transmit = transmit
        self._transmit_rtcp = transmit_rtcp

    @property
    def numbering(self) -> Numbering:
        """Where the stream that is sent stands."""
        self._sender.sync()
        return self._sender.stream.numbering()

    @property
    def used(self) -> UsedNumbers | None:
        """Where it is noted which numbers of our stream were used."""
        return self._sender.stream.used

    def close(self) -> None:
        """Forget that: nothing is sent any more."""
        self._sender.release()
        self._sender.stream.close()

    @property
    def sent_packets(self) -> int:
        """How many packets our stream has had."""
        self._sender.sync()
        return self._sender.stream.packets

    @property
    def sent(self) -> tuple[int, int | None]:
        """SSRC of our stream, and number of its last packet with its roll-overs; None before the first."""
        numbering = self.numbering
        return numbering.ssrc, numbering.sequence - 1 if numbering.packets else None

    @property
    def heard(self) -> tuple[int, int] | None:
        """SSRC and highest sequence number of the peer's source; None before its first packet."""
        reception = self._receiver.reception
        return None if reception is None else (reception.ssrc, reception.highest & 0xFFFF)

    def snapshot(self) -> SessionSnapshot:
        """Return what another session goes on with; what is sent from now on must go nowhere (`set_transmit`)."""
        return SessionSnapshot(
            audio=AudioSnapshot.of(self._audio),
            sender=self._sender.snapshot(),
            receiver=receiver_snapshot(self._receiver),
            reports=self._reports.snapshot(),
            malformed=self._malformed,
            echo_seconds=self._echo.delay_seconds,
        )

    def restore(self, snapshot: SessionSnapshot) -> None:
        """Go on where another session of the same audio stopped, before anything was sent or received."""
        self._sender.restore(snapshot.sender)
        restore_receiver(self._receiver, snapshot.receiver)
        self._reports.restore(snapshot.reports)
        self._malformed = snapshot.malformed + snapshot.receiver.malformed
        self._echo.delay_seconds = snapshot.echo_seconds

    @property
    def passthrough_codec(self) -> Codec | None:
        """The codec of packets that may pass undecoded; None if none may."""
        return self._codec if self._passthrough else None

    @property
    def ssrc(self) -> int:
        """The SSRC of our stream."""
        return self._sender.stream.ssrc

    def renegotiate(self, audio: NegotiatedAudio) -> None:
        """Apply a new offer on the same transport: codec, direction, payload types, bit rate.

        After a change of the codec, the bus must be routed anew for packets to be forwarded again.
        """
        self._audio, self._codec = audio, audio.codec
        self._reports.clock_rate = audio.codec.clock_rate
        self._sender.renegotiate(audio)
        self._receiver.renegotiate(audio)

    def restart_source(self, audio: NegotiatedAudio, start: StreamStart) -> None:
        """Continue with a peer that has restarted (a reloaded page).

        Both directions get new streams; the totals, and where frames go, stay.
        """
        self._audio, self._codec = audio, audio.codec
        self._reports.clock_rate = audio.codec.clock_rate
        self._sender.restart_source(audio, start)
        self._receiver.restart_source()
        self._receiver.renegotiate(audio)
        self._reports.reset()

    @property
    def loss_ratio(self) -> float:
        """The share of our packets that the peer last reported lost (0 to 1)."""
        return self._reports.remote_loss_ratio

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

    def report(self, now: float, wall: float, *, bye: bool = False) -> None:
        """Send an RTCP report, the last one with `bye`; to be called about once a second.

        `wall` is Unix time. A continuous session sends nothing before `start_sending`.
        """
        self._receiver.expire(now)
        self._sender.expire(now)
        self._echo.check(self._sender.sizes, self._receiver.sizes, now)
        if not self._sender.started:
            return
        self._transmit_rtcp(
            self._reports.compose(
                self._sender.stream,
                self._receiver.reception,
                now=now,
                wall=wall,
                forwarded_loss_ratio=self._receiver.forwarded_loss_ratio,
                bye=bye,
            )
        )

    @property
    def digits_pending(self) -> bool:
        """Whether digits are being sent."""
        return self._sender.dtmf.pending

    @property
    def needs_tick(self) -> bool:
        """Whether `tick` has work: digits, or a packet that is held back."""
        return self.digits_pending or self._receiver.holding

    def tick(self, now: float) -> None:
        """Send the digits and silence that are due, and release a packet held back for too long.

        To be called every 20 ms while `digits_pending`, and from `start_sending` on by `next_tick` in
        a continuous session, where late calls are made up for; also when `schedule_tick` asks for it.
        """
        self._receiver.tick(now)
        self._sender.tick(now)

    def next_tick(self, now: float) -> float:
        """Return when `tick` must be called next in a continuous session, unless something is sent before.

        That is at most 60 ms after the last packet, 20 ms after the last of silence or of a digit.
        """
        return self._sender.next_tick(now)

    def last_received(self) -> float | None:
        """Return when the last RTP packet came (monotonic seconds); None before the first."""
        return self._receiver.last_received

    @property
    def receives(self) -> bool:
        """Whether the peer's description says that it sends."""
        return self._receiver.receives

    @property
    def reports(self) -> tuple[int, int]:
        """The peer's RTCP reports so far, and how many say that more of our stream has come."""
        return self._reports.received, self._reports.about_us

    @property
    def malformed(self) -> int:
        """RTP and RTCP packets that could not be parsed, and audio that its decoder refused."""
        self._receiver.sync()
        return self._malformed + self._receiver.malformed

    def statistics(self) -> LegStatistics:
        """Return the statistics so far."""
        received = self._receiver.statistics()  # syncs, which all below relies on
        discarded = {reason: count for reason, count in self._discarded.items() if count}
        if malformed := self._malformed + self._receiver.malformed:
            discarded["bad_rtp"] = malformed
        if unknown := self._receiver.filter.unknown:
            discarded["unknown_payload"] = unknown
        if refused := self._receiver.filter.refused:
            discarded["refused_line"] = refused
        return LegStatistics(
            received=received,
            sent=self._sender.statistics(self._reports),
            round_trip_seconds=self._reports.round_trip_seconds,
            discarded=discarded,
            echo_seconds=self._echo.delay_seconds,
        )
