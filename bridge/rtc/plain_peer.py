"""One peer that speaks plain RTP or SRTP over UDP, described by the SDP of a SIP call.

There is neither ICE nor DTLS: media flows once both sides are described. A peer outlives its descriptions; each
further offer, ours or the peer's, may change address, codec, direction and keys.
"""

import asyncio
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from bridge.audio.codec.codec import Codec
from bridge.audio.codec.opus import Opus
from bridge.call.leg_state import IceStage, TransportState
from bridge.call.model import LegStatistics
from bridge.call.setup_timings import SetupClock
from bridge.errors import HandoverRefused, InvalidState, SdpError
from bridge.rtc import trace
from bridge.rtc.config import PeerConfig, new_start
from bridge.rtc.limits import DISCARD_REASONS
from bridge.rtc.plain_transport import PlainTransport
from bridge.rtc.rtp_socket import RtpSockets
from bridge.rtc.rtp_source import RtpSource
from bridge.rtp.session import RtpSession
from bridge.wire.sdp.attributes import opposite
from bridge.wire.sdp.crypto import SUITES, Crypto
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio
from bridge.wire.sdp.own_rtp import OwnRtp
from bridge.wire.sdp.rtp import (
    EVENTS,
    LocalRtp,
    RemoteRtp,
    Security,
    agree,
    offered_type,
    read_offer,
    write_answer,
    write_offer,
)
from bridge.wire.snapshot.peer import (
    OwnRtpSnapshot,
    PlainPeerSnapshot,
    RemoteSnapshot,
    restore_counts,
)

REPORT_SECONDS: Final = 1.0
RARE_REPORT_SECONDS: Final = 5.0
"""Where the peer asks for few reports; the usual minimum of RFC 3550 §6.2."""
_HOLDS: Final = ("sendonly", "inactive")


class PlainPeer:
    """The other end of a SIP call's media, from the first description to its end.

    Either it offers (`set_remote`, `create_answer`), or we do (`create_offer`, `set_answer`); afterwards each side may offer
    again (`answer_reoffer`; `create_reoffer`, `set_answer`). `on_digit` is called with each digit that it sends.
    """

    def __init__(
        self,
        *,
        config: PeerConfig,
        opus: Opus,
        codecs: Sequence[Codec],
        security: Security,
        on_digit: Callable[[str], None],
        source: RtpSource,
    ) -> None:
        self._config = config
        self._codecs = tuple(codecs)
        self._security: Security = security
        self._clock = config.timeouts.clock
        self.setup = SetupClock(self._clock())
        """When the steps of the leg's set-up were done."""
        self._discarded = dict.fromkeys(DISCARD_REASONS, 0)
        self._remote: RemoteRtp | None = None
        self.own = OwnRtp(secrets.randbits(62))
        """Our descriptions."""
        """Our descriptions."""
        self.suspended = False
        """Whether another process may go on with it; nothing is sent then, not even by `aclose`."""
        self._described = False
        """Whether both sides have each other's description."""
        self.held = False
        """Whether the peer has put us on hold: it hears nothing of us, by its own wish."""
        self._timer: asyncio.TimerHandle | None = None
        self.session = RtpSession(
            config.session_config(opus, continuous=True),
            audio=NegotiatedAudio(
                codec=self._codecs[0],
                payload_type=offered_type(self._codecs[0]),
                direction="inactive",
            ),
            start=new_start(),
            cname=secrets.token_hex(8),
            on_digit=on_digit,
            schedule_tick=self._schedule_tick,
            discarded=self._discarded,
        )
        """The RTP session, the same for the peer's whole life; it sends nothing before `start_sending`."""
        self._transport = PlainTransport(
            config.ports,
            session=self.session,
            receive_rtp=self._receive_first,
            discarded=self._discarded,
            clock=self._clock,
            source=source,
            packet_path=config.packet_path,
        )
        transport = self._transport
        self.session.set_transmit(self._send_first, transport.send_rtcp, transport.offload)

    @property
    def audio(self) -> NegotiatedAudio | None:
        """What is agreed; None before that."""
        return self._remote.audio if self._remote is not None and self._described else None

    @property
    def alive_at(self) -> float | None:
        """When the peer's last packet came, report or audio (monotonic seconds); None before the first."""
        return self._transport.alive_at

    @property
    def report_seconds(self) -> float:
        """How often to report."""
        rare = self._remote is not None and self._remote.rare_reports
        return RARE_REPORT_SECONDS if rare else REPORT_SECONDS

    def statistics(self) -> LegStatistics:
        """Return the statistics so far."""
        reports, about_us = self.session.reports
        stage: IceStage = "connected" if self._described else "new"
        return replace(
            self.session.statistics(),
            transport=TransportState(
                described=self._described,
                ice=stage,
                dtls=stage,
                plain=True,
                held=self.held,
                codec="" if (audio := self.audio) is None else audio.codec.name,
                sends=self.session.receives,
                reports=reports,
                reports_about_us=about_us,
            ),
            setup=self.setup.timings(),
        )

    def set_remote(self, offer: str) -> None:
        """Take the peer's first offer, which `create_answer` will answer.

        Raises:
            SdpError: It cannot be answered.
        """
        remote = read_offer(offer, self._codecs, self._security)
        self._local_host(remote.host)
        self._remote = remote
        self.setup.note("offer", self._clock())

    async def create_answer(self) -> str:
        """Open a port and answer the first offer; media flows from now on.

        Raises:
            LimitExceeded: no port is free.
            LegError: a media address cannot be bound.
        """
        remote = self._remote
        if remote is None:
            raise InvalidState("there is no offer to answer")
        self._transport.open(self._local_host(remote.host), pair=remote.rtcp is not None)
        answer = self._answer(remote, "sendrecv")
        self.setup.note("answer", self._clock())
        return answer

    async def create_offer(self) -> str:
        """Open two ports and write the first offer; `set_answer` must follow.

        Raises:
            LimitExceeded: no ports are free.
            LegError: a media address cannot be bound.
        """
        self._transport.open(self._config.bind[0], pair=True)
        secure = self._security == "required"
        cryptos = [
            Crypto(tag, suite, secrets.token_bytes(size))
            for tag, (suite, size) in enumerate(SUITES.items(), start=1)
        ]
        formats = {codec: offered_type(codec) for codec in self._codecs}
        self.own.formats, self.own.cryptos = formats, tuple(cryptos) if secure else ()
        protocol = "RTP/SAVP" if secure else "RTP/AVP"
        self.setup.note("offer", self._clock())
        return self._write(
            lambda local: write_offer(local, formats, EVENTS, protocol),
            "sendrecv",
            self.own.cryptos,
        )

    def set_answer(self, answer: str) -> None:
        """Take the answer to our offer, again if it comes again.

        Raises:
            SdpError: It is unusable; what was agreed before stays.
        """
        remote, ours = self.own.read_answer(answer, self._security)
        self._check_family(remote)
        if self.own.direction == "sendrecv":
            self.held = remote.audio.direction in _HOLDS
        self._agree(agree(remote, self.own.direction), ours)
        self.setup.note("answer", self._clock())

    def create_reoffer(self, direction: str) -> str:
        """Write a further offer with what was agreed, and another direction; `set_answer` must follow.

        Raises:
            InvalidState: nothing was agreed before.
        """
        remote = self._remote
        if remote is None or not self._described:
            raise InvalidState("nothing has been agreed yet")
        audio = remote.audio
        self.own.direction = direction
        ours = self._transport.crypto
        cryptos = () if ours is None else (ours,)
        events = audio.telephone_events or EVENTS
        formats: dict[Codec, int] = {}
        for kind, codec in audio.codecs.items():
            formats.setdefault(codec, kind)
        self.own.formats, self.own.cryptos = formats, cryptos
        return self._write(
            lambda local: write_offer(local, formats, events, remote.protocol), direction, cryptos
        )

    def answer_reoffer(self, offer: str, direction: str) -> str:
        """Answer a further offer of the peer; `direction` is what we are ready to do.

        Raises:
            SdpError: It cannot be answered; what was agreed before stays.
        """
        before = () if self.audio is None else (self.audio.codec,)
        # The codec stays as it is, if it may.
        remote = read_offer(offer, tuple(dict.fromkeys(before + self._codecs)), self._security)
        self._check_family(remote)
        return self._answer(remote, direction)

    def suspend(self) -> tuple[PlainPeerSnapshot, list[socket.socket]]:
        """Stop reading and sending, and return all that another process goes on with; `resume` or `aclose` follows.

        The sockets stay this peer's: duplicates are to be passed on.

        Raises:
            HandoverRefused: it cannot move now; it goes on.
        """
        if self._config.packet_path is not None:
            self._config.packet_path.poll()  # takes what has been read already
        remote, ours = self._remote, self._transport.crypto
        if self.suspended or remote is None or not self._described:
            raise HandoverRefused("the media of a leg is not described, or handed over already")
        transport, sockets = self._transport.suspend()
        self.suspended = True
        if self._timer is not None:
            self._timer.cancel()
        snapshot = PlainPeerSnapshot(
            own=OwnRtpSnapshot.of(self.own),
            remote=RemoteSnapshot.of(remote),
            crypto=ours,
            held=self.held,
            setup=self.setup.done(),
            discarded=dict(self._discarded),
            transport=transport,
            session=self.session.snapshot(),
        )
        return snapshot, sockets

    def resume(self) -> None:
        """Go on after `suspend`: nobody has taken the snapshot."""
        if self.suspended:
            self.suspended = False
            self._transport.resume()
            self._schedule_tick(0.0)

    def restore(self, snapshot: PlainPeerSnapshot, sockets: Sequence[socket.socket]) -> None:
        """Go on in a fresh peer where the one of the snapshot stopped; the sockets are this peer's from now on.

        Raises:
            HandoverRefused: it cannot; the sockets are still the caller's, and the peer is good for `aclose` alone.
        """
        self.own, remote, self.held = snapshot.own.own(), snapshot.remote.remote(), snapshot.held
        self.setup.restore(snapshot.setup)
        restore_counts(self._discarded, snapshot.discarded)
        self.session.renegotiate(snapshot.session.audio.negotiated())
        self.session.restore(snapshot.session)
        self._transport.restore(
            snapshot.transport,
            sockets,
            theirs=remote.crypto,
            ours=snapshot.crypto,
            digits=frozenset(remote.audio.telephone_events),
        )
        self._remote, self._described = remote, True

    async def aclose(self) -> None:
        """Send RTCP BYE and free everything; from any state, safe to repeat."""
        if self._described and self._transport.sockets is not None:
            self.session.report(self._clock(), datetime.now(UTC).timestamp(), bye=True)
        if self._timer is not None:
            self._timer.cancel()
        self._transport.close()
        self.session.close()

    def _local_host(self, remote: str) -> str:
        """Return the address to receive on from a peer."""
        six = ":" in remote
        own = [one for one in self._config.bind if not remote or (":" in one) == six]
        if not own:
            raise SdpError(f"the peer's address is IPv{6 if six else 4}, and rtc.bind has none")
        return own[0]

    def _check_family(self, remote: RemoteRtp) -> None:
        if remote.host and (":" in remote.host) != (":" in self._bound().host):
            raise SdpError("the peer's address is of another IP version than ours")

    def _answer(self, offer: RemoteRtp, direction: str) -> str:
        self.held = offer.audio.direction in _HOLDS
        remote, own = agree(offer, direction), None
        if remote.crypto is not None:
            tag, suite = remote.crypto.tag, remote.crypto.suite
            before = None if self._remote is None else self._remote.crypto
            same = before is not None and (before.suite, before.key) == (suite, remote.crypto.key)
            ours = self._transport.crypto if same else None
            key = secrets.token_bytes(SUITES[suite]) if ours is None else ours.key
            own = Crypto(tag, suite, key)
        self._agree(remote, own)
        return self._write(
            lambda local: write_answer(remote, local),
            opposite(remote.audio.direction),
            () if own is None else (own,),
        )

    def _agree(self, remote: RemoteRtp, own: Crypto | None) -> None:
        """Use what both descriptions say from now on."""
        # The session first, which ends its offloads: they send nothing as before to another address, or by other keys.
        self.session.renegotiate(remote.audio)
        self._transport.describe(remote, own)
        self._remote, self._described = remote, True
        trace.agreed(remote, encrypted=own is not None)

    def _write(
        self, write: Callable[[LocalRtp], str], direction: str, cryptos: tuple[Crypto, ...]
    ) -> str:
        """Write a description; its version counts those that differ (RFC 3264 §8)."""
        return self.own.write(write, self._describe(direction, cryptos))

    def _describe(self, direction: str, cryptos: tuple[Crypto, ...]) -> LocalRtp:
        sockets = self._bound()
        external = self._config.external_address
        outside = external and (":" in external) == (":" in sockets.host)
        return LocalRtp(
            host=external if outside else sockets.host,
            port=sockets.port,
            rtcp_port=sockets.rtcp_port,
            direction=direction,
            cryptos=cryptos,
        )

    def _receive_first(self, packet: bytes, now: float) -> None:
        """Receive the first packet; the session takes all others."""
        self._transport.receive_rtp = self.session.receive_rtp
        self.setup.note("first_received", now)
        trace.log.debug("rtp.first_received")
        self.session.receive_rtp(packet, now)

    def _send_first(self, packet: bytes) -> None:
        """Send the first packet; the transport takes all others."""
        transport = self._transport
        self.session.set_transmit(transport.send_rtp, transport.send_rtcp, transport.offload)
        self.setup.note("first_sent", self._clock())
        trace.log.debug("rtp.first_sent")
        transport.send_rtp(packet)

    def _bound(self) -> RtpSockets:
        sockets = self._transport.sockets
        if sockets is None:
            raise InvalidState("the peer connection is closed")
        return sockets

    def _schedule_tick(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, lambda: self.session.tick(self._clock()))
