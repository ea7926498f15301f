"""What DTLS and SRTP run over: one ICE connection, and two during an ICE restart."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Final

from bridge.errors import HandoverRefused, NegotiationFailed
from bridge.rtc.config import PeerConfig
from bridge.rtc.demux import ArrivalCounter, Arrivals, Inbound
from bridge.rtc.handover.ice_handover import ice_snapshot, restore_ice
from bridge.rtc.ice import IceConnection
from bridge.rtc.limits import MAX_PACKETS
from bridge.rtc.switchover import Switchover
from bridge.rtc.transport_offload import TransportOffload
from bridge.wire.sdp.description import RemoteAudio
from bridge.wire.snapshot.peer import IceSnapshot

_DTLS_QUEUE: Final = 64


class IceLink:
    """A path to the peer that stays while ICE restarts replace the connection below it.

    aiortc's DTLS transport takes the link for its ICE transport, of which it uses `_recv`, `_send`
    and `role`. `on_lost` is called with `consent_lost` when the peer is gone, `on_restarted` at the
    end of each ICE restart with whether it succeeded.
    """

    def __init__(
        self,
        config: PeerConfig,
        *,
        discarded: dict[str, int],
        on_media: Callable[[bytes], None],
        offload: TransportOffload | None,
        on_lost: Callable[[str], None],
        on_restarted: Callable[[bool], None],
    ) -> None:
        arrivals: Arrivals = ArrivalCounter(MAX_PACKETS) if offload is None else offload
        self._clock = config.timeouts.clock
        arrivals.alive_at = self._clock()
        self.inbound = Inbound(
            on_media,
            self._dtls_received,
            discarded,
            config.unverified_checks,
            arrivals,
            offload,
            self._route_changed,
        )
        if config.ledger is not None:
            self.inbound.marks = config.ledger.marks
        self._offload = offload
        self.role = "controlled"
        self.connections: Switchover[IceConnection] = Switchover(
            stage="ice",
            connect=self._connect,
            close=lambda connection: connection.close(),
            on_switch=self._switched,
            on_failure=self._failed,
            on_lost=on_lost,
            linger=config.timeouts.linger,
        )
        """The current one sends, both receive."""
        self._config = config
        self._probe_private = config.probe_private or config.dialect.trusted_candidates
        self._on_restarted = on_restarted
        self._dtls: asyncio.Queue[bytes | None] = asyncio.Queue(_DTLS_QUEUE)

    async def prepare(self, peer: RemoteAudio | None) -> None:
        """Open a connection; when one was connected before, this is an ICE restart, and it begins.

        Without an offer of the peer we offer, and it waits for `set_remote`.

        Raises:
            LimitExceeded: no port is free.
            LegError: an address cannot be bound.
        """
        connection = self._new(controlling=peer is None or peer.ice_lite)
        await self.connections.prepare(connection, self._open(connection, peer))
        self.connections.begin()

    def suspend(self) -> tuple[IceSnapshot, list[socket.socket]]:
        """Stop; return what another link goes on with, and the sockets, which stay this link's.

        Raises:
            HandoverRefused: there is no one connection that could be passed on; nothing has stopped.
        """
        current = self.connections.current
        if current is None or not self.connections.stable:
            raise HandoverRefused("an ICE restart is in progress")
        snapshot = ice_snapshot(current)
        sockets = current.suspend()
        if self._offload is not None:
            self._offload.set_route(-1, None)
        return snapshot, sockets

    def resume(self) -> None:
        """Go on after `suspend`."""
        if self.connections.current is not None:
            self.connections.current.resume()
        self._route_changed()

    def restore(self, snapshot: IceSnapshot, sockets: Sequence[socket.socket]) -> None:
        """Go on in a new link with sockets that another process has bound.

        Raises:
            HandoverRefused: as `restore_ice`.
        """
        connection = self._new(controlling=snapshot.controlling)
        restore_ice(connection, snapshot, sockets, self._config.ports)
        self.connections.restore(connection)
        self.role = "controlling" if snapshot.controlling else "controlled"
        self._route_changed()

    def set_remote(self, peer: RemoteAudio) -> None:
        """Take the answer to the offer that described the next connection."""
        if self.connections.next is not None:
            self.connections.next.set_remote(peer, probe_private=self._probe_private)

    def send(self, data: bytes) -> bool:
        """Send a datagram on the nominated pair; False when there is none."""
        current = self.connections.current
        route = None if current is None else current.route
        if route is None:
            return False
        transport, address = route
        transport.sendto(data, address)
        return True

    async def aclose(self) -> None:
        """Close every socket, return every port, end every task; safe to repeat."""
        if self._dtls.full():
            self._dtls.get_nowait()
        self._dtls.put_nowait(None)
        await self.connections.aclose()

    def _dtls_received(self, data: bytes) -> None:
        """Queue a DTLS record; when the queue is full the oldest is dropped."""
        if self._dtls.full():
            self._dtls.get_nowait()
            self.inbound.discarded["dtls_overflow"] += 1
        self._dtls.put_nowait(data)

    async def _recv(self) -> bytes:
        data = None if self.connections.closed else await self._dtls.get()
        if data is None:
            raise ConnectionError("closed")
        return data

    async def _send(self, data: bytes) -> None:
        if not self.send(data):
            raise ConnectionError("no path")

    def _new(self, *, controlling: bool) -> IceConnection:
        return IceConnection(
            self.inbound,
            controlling=controlling,
            on_lost=lambda lost: self.connections.lost(lost, "consent_lost"),
            timeouts=self._config.timeouts,
            clock=self._clock,
        )

    async def _open(self, connection: IceConnection, peer: RemoteAudio | None) -> None:
        await connection.open(self._config.bind, self._config.ports)
        if peer is not None:
            connection.set_remote(peer, probe_private=self._probe_private)

    async def _connect(self, connection: IceConnection) -> None:
        try:
            async with asyncio.timeout(self._config.timeouts.ice):
                await connection.described.wait()
                await connection.connect()
        except (TimeoutError, ConnectionError):
            reason = connection.failure_reason()
            raise NegotiationFailed("ICE did not connect", stage="ice", reason=reason) from None

    def _switched(self, connection: IceConnection, replaced: IceConnection | None) -> None:
        self._route_changed()
        self.role = "controlling" if connection.ice_controlling else "controlled"
        if replaced is not None:
            self._on_restarted(True)  # noqa: FBT003 - a callback

    def _route_changed(self) -> None:
        """Let the offloads send by the route of the connection in use."""
        if self._offload is None:
            return
        current = self.connections.current
        route = None if current is None else current.route
        if route is None:
            self._offload.set_route(-1, None)
            return
        transport, address = route
        self._offload.set_route(transport.get_extra_info("socket").fileno(), address)

    def _failed(self) -> None:
        if self.connections.current is not None:
            self._on_restarted(False)  # noqa: FBT003 - a callback
