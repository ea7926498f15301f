"""RTP sessions on connected pairs of sockets, received by either packet path.

Nothing but time is left out between a socket and its session: SRTP with given keys, or none. Several sessions
share a `Sockets`, as those of a node do, so that the packet path can pass packets between them.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from pylibsrtp import Policy
from typing_extensions import override

from bridge.audio.codec.encoder_level import EncoderBudget
from bridge.rtc.demux import ArrivalCounter, Arrivals
from bridge.rtc.limits import MAX_DATAGRAM
from bridge.rtc.srtp import Srtp
from bridge.rtp.config import SessionConfig
from bridge.rtp.session import RtpSession
from bridge.wire.rtp.stream import StreamStart
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio
from tests.support.packets.packet_sockets import Sockets, arrived, socket_pair
from tests.support.packets.rtp_party import OPUS

PROFILE = Policy.SRTP_PROFILE_AES128_CM_SHA1_80
OUR_KEY, THEIR_KEY = bytes(range(30)), bytes(range(100, 130))
MIN_PACKET = 12


class SocketParty(asyncio.DatagramProtocol):
    """A session as `rtc.transport` has one: `remote` is the socket of its peer."""

    def __init__(
        self,
        sockets: Sockets,
        audio: NegotiatedAudio,
        *,
        start: StreamStart,
        budget: EncoderBudget,
        secured: bool = False,
        limit: int = 500,
        passthrough: bool = True,
        continuous: bool = False,
    ) -> None:
        self.sockets = sockets
        self.secured = secured
        self.continuous = continuous
        self.digits: list[str] = []
        self.wakes: list[float] = []
        self.encoders: list[Any] = []
        self.discarded: Counter[str] = Counter()
        self.srtp = Srtp(PROFILE, send_key=OUR_KEY, receive_key=THEIR_KEY) if secured else None
        self.offload: Any = None
        if sockets.path is not None:
            self.offload = sockets.path.transport(
                receive=lambda packet, now: self.session.receive_rtp(packet, now),
                discarded=self.discarded,
                limit=limit,
                secured=secured,
            )
            if self.srtp is not None:
                self.offload.set_keys(self.srtp)
        self.arrivals: Arrivals = ArrivalCounter(limit) if self.offload is None else self.offload
        self._open: list[tuple[socket.socket, socket.socket, Any]] = []
        self.route = True
        self.remote = self.move()
        self.session = RtpSession(
            SessionConfig(
                OPUS,
                budget,
                passthrough=passthrough,
                continuous=continuous,
                on_encoder=self.encoders.append,
            ),
            audio=audio,
            start=start,
            cname="bridge",
            on_digit=self.digits.append,
            schedule_tick=self.wakes.append,
            discarded=self.discarded,
        )
        self.session.set_transmit(self._send_rtp, self._send_rtcp, self.offload)

    def move(self) -> socket.socket:
        """Take another pair of sockets, as an ICE restart does; the ones before still receive."""
        ours, self.remote = socket_pair()
        handle = None
        if self.offload is not None:
            handle = self.sockets.listen(ours, self, self.offload)
        self._open.append((ours, self.remote, handle))
        self.set_route(self.route)
        return self.remote

    def set_route(self, up: bool) -> None:
        """Send by the newest socket, or nowhere."""
        self.route = up
        if self.offload is None:
            return
        self.offload.set_packed_route(self._open[-1][0].fileno() if up else -1, b"")

    def renew_transmit(self) -> None:
        """Let the session send by the same transport again, as a page does that has reloaded."""
        self.session.set_transmit(self._send_rtp, self._send_rtcp, self.offload)

    def release(self) -> None:
        """End all offloads, and take no more."""
        self.session.set_transmit(self._send_rtp, self._send_rtcp)

    def deliver(self, datagrams: Iterable[bytes], now: float, *, former: bool = False) -> None:
        """Let datagrams of the peer arrive at once: at the newest socket, or the one before if there is one."""
        self.sockets.now = now
        ours, remote, _ = self._open[-2:][0] if former else self._open[-1]
        waiting = [remote.send(datagram) for datagram in datagrams]
        if self.offload is not None:
            for _ in waiting:
                self.sockets.poll()
            return
        for datagram in arrived(ours):
            self.datagram_received(datagram, ())

    def sent(self) -> list[bytes]:
        """Return what the peer has been sent since this was last called."""
        return [data for _, remote, _ in self._open for data in arrived(remote)]

    def totals(self) -> dict[str, int]:
        """Return what was discarded, by reason."""
        if self.offload is not None:
            self.offload.count_unsendable()
        return {reason: count for reason, count in self.discarded.items() if count}

    def close(self) -> None:
        """Close the sockets."""
        for ours, remote, handle in self._open:
            if handle is not None:
                handle.close()
            ours.close()
            remote.close()
        if self.offload is not None:
            self.offload.close()

    @override
    def datagram_received(self, data: bytes, _addr: Any) -> None:
        """Process a datagram that the packet path has left (`MediaSocket`, `Transport`)."""
        if not 0 < len(data) <= MAX_DATAGRAM:
            self.discarded["oversized" if data else "empty"] += 1
            return
        if not 127 < data[0] < 192 or len(data) < MIN_PACKET:
            self.discarded["unknown_kind"] += 1
            return
        plain: Any = data
        rtcp = 191 < data[1] < 224
        if not rtcp and self.session.filter.ignores(data):
            return
        if self.srtp is not None:
            plain = self.srtp.unprotect_rtcp(data) if rtcp else self.srtp.unprotect(data)
            if not isinstance(plain, bytes):
                self.discarded[plain.value] += 1
                return
        now = self.sockets.now
        if not self.arrivals.admit(now):
            self.discarded["too_many_packets"] += 1
            return
        receive = self.session.receive_rtcp if rtcp else self.session.receive_rtp
        receive(plain, now)

    def _send_rtp(self, packet: bytes) -> None:
        self._send(packet, None if self.srtp is None else self.srtp.protect)

    def _send_rtcp(self, packet: bytes) -> None:
        self._send(packet, None if self.srtp is None else self.srtp.protect_rtcp)

    def _send(self, packet: bytes, protect: Callable[[bytes], bytes | None] | None) -> None:
        # Without a route nothing is protected, as by `Transport.send_rtp`: no rollover is counted.
        protected = packet if protect is None or not self.route else protect(packet)
        try:
            if protected is not None and self.route:
                self._open[-1][0].send(protected)
                return
        except OSError:
            pass
        self.discarded["unsendable"] += 1
