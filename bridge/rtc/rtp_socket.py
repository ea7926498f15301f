"""The UDP sockets of a peer that speaks plain RTP: one for audio and reports, or one for each."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any

from typing_extensions import override

from bridge.rtc.limits import MAX_DATAGRAM, Address
from bridge.rtc.ports import PortPool
from bridge.rtc.transport_offload import TransportOffload
from bridge.rtc.udp_socket import UdpSocket, after_backlog, read_by_the_loop


class _Receiver(asyncio.DatagramProtocol):
    """Passes datagrams on that may be RTP or RTCP (RFC 7983); all others are dropped and counted."""

    def __init__(
        self, receive: Callable[[bytes, Address], None], discarded: dict[str, int]
    ) -> None:
        self._receive = receive
        self._discarded = discarded

    @override
    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        size = len(data)
        if not 0 < size <= MAX_DATAGRAM:
            self._discarded["oversized" if size else "empty"] += 1
        elif 127 < data[0] < 192:
            receive = self._receive
            receive(data, addr if len(addr) == 2 else addr[:2])
        else:
            self._discarded["unknown_kind"] += 1


class RtpSockets:
    """Sockets on one address of this machine, with ports of the pool."""

    def __init__(
        self,
        host: str,
        ports: PortPool,
        *,
        on_rtp: Callable[[bytes, Address], None],
        on_rtcp: Callable[[bytes, Address], None],
        discarded: dict[str, int],
        offload: TransportOffload | None = None,
    ) -> None:
        """`on_rtp` gets what comes to the first port, reports too, but for what the `offload` takes."""
        self.host = host
        self.port = 0
        self.rtcp_port = 0
        """The same as `port` while reports go there."""
        self._ports = ports
        self._receivers = _Receiver(on_rtp, discarded), _Receiver(on_rtcp, discarded)
        self._discarded = discarded
        self._offload = offload
        self.rtp: UdpSocket | None = None
        """What sends audio; None once closed."""
        self._rtcp: UdpSocket | None = None

    def open(self, *, pair: bool) -> None:
        """Open one port, or with `pair` another for reports.

        Raises:
            LimitExceeded: no port is free.
            LegError: the address is not this machine's.
        """
        bound = self._ports.open_pair(self.host) if pair else self._ports.open([self.host])[1]
        try:
            self.take(bound)
        except BaseException:
            for sock in bound:
                sock.close()
            raise

    def take(self, bound: Sequence[socket.socket], *, inherited: bool = False) -> None:
        """Receive on one or two sockets that are bound, by another process if they are `inherited`, and this object's afterwards.

        Raises:
            LegError: the system refuses to poll one; all are the caller's.
        """
        self.port, self.rtcp_port = bound[0].getsockname()[1], bound[-1].getsockname()[1]
        for port in {self.port, self.rtcp_port}:
            self._ports.adopt(port)
        receiver, of_reports = self._receivers
        try:
            if self._offload is not None:
                self.rtp = self._offload.listen(bound[0], receiver, inherited=inherited)
            else:
                self.rtp = self._listen(bound[0], receiver, inherited=inherited)
            for sock in bound[1:]:
                self._rtcp = self._listen(sock, of_reports, inherited=inherited)
        except BaseException:
            if self.rtp is not None:
                self.rtp.release()
            self.close()
            raise

    def suspend(self) -> list[socket.socket]:
        """Neither read nor send until `resume`; return the sockets, which stay this object's."""
        open_ones = [one for one in (self.rtp, self._rtcp) if one is not None]
        for one in open_ones:
            one.pause()
        return [one.sock for one in open_ones]

    def resume(self) -> None:
        """Go on after `suspend`."""
        for one in (self.rtp, self._rtcp):
            if one is not None:
                one.resume()

    @property
    def rtcp(self) -> UdpSocket | None:
        """What sends reports; None once closed."""
        return self._rtcp or self.rtp

    def join(self) -> None:
        """Release the port for reports: the peer sends them with its audio."""
        if self._rtcp is not None:
            self._rtcp.close()
            self._rtcp = None
            self._ports.release(self.rtcp_port)
            self.rtcp_port = self.port

    def close(self) -> None:
        """Close the sockets and release their ports; safe to repeat."""
        for transport in (self.rtp, self._rtcp):
            if transport is not None:
                transport.close()
        self.rtp = self._rtcp = None
        for port in {self.port, self.rtcp_port}:
            self._ports.release(port)

    def _listen(self, sock: socket.socket, receiver: _Receiver, *, inherited: bool) -> UdpSocket:
        read = after_backlog(read_by_the_loop) if inherited else read_by_the_loop
        return UdpSocket(sock, receiver, discarded=self._discarded, read=read)
