"""What DTLS and SRTP run over: one ICE connection, and during an ICE restart two."""

import asyncio
from collections.abc import Callable
from typing import Final

from bridge.errors import InvalidState, NegotiationFailed
from bridge.rtc.ice import IceConnection, Timeouts
from bridge.rtc.ports import PortPool
from bridge.wire.sdp import RemoteAudio

_DTLS_QUEUE: Final = 64


class IceLink:
    """A path to the peer that stays while the ICE connection below it changes.

    The serving connection carries what is sent until ICE has chosen a pair on the pending one; both
    receive. aiortc's DTLS transport takes the link for its ICE transport: of that it uses `_recv`,
    `_send` and `role`.

    Args:
        bind: Addresses to receive on.
        ports: Where each connection's port comes from.
        probe_private: Whether checks go to offered candidates that are not public addresses.
        limits: Times.
        clock: Monotonic seconds.
        discarded: Counts by discard reason, written to.
        on_media: Takes each SRTP and SRTCP packet from a proved address.
        on_lost: Called once when the peer is gone.
        on_restarted: Called at the end of each ICE restart, with whether it came up.
    """

    def __init__(  # noqa: PLR0913 - keyword only, given in one place
        self,
        *,
        bind: tuple[str, ...],
        ports: PortPool,
        probe_private: bool,
        limits: Timeouts,
        clock: Callable[[], float],
        discarded: dict[str, int],
        on_media: Callable[[bytes], None],
        on_lost: Callable[[], None],
        on_restarted: Callable[[bool], None],
    ) -> None:
        self.heard_at = clock()
        self.discarded = discarded
        self.on_media = on_media
        self.role = "controlled"
        self.serving: IceConnection | None = None
        self._bind = bind
        self._ports = ports
        self._probe_private = probe_private
        self._limits = limits
        self._clock = clock
        self._on_lost = on_lost
        self._on_restarted = on_restarted
        self._pending: IceConnection | None = None
        self._open: list[IceConnection] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._up: asyncio.Future[None] | None = None
        self._lost = False
        self._closed = False
        self._dtls: asyncio.Queue[bytes | None] = asyncio.Queue(_DTLS_QUEUE)

    @property
    def newest(self) -> IceConnection | None:
        """The connection that the last answer described."""
        return self._pending or self.serving

    async def prepare(self, peer: RemoteAudio | None) -> IceConnection:
        """Open a connection for an offer's credentials; it does nothing until `connect` or `begin`.

        Args:
            peer: What was offered to us; None when we offer: `meet` must then come before `connect`.

        Raises:
            LimitExceeded: no port is free.
            LegError: an address cannot be bound.
        """
        controlling = peer is None or peer.ice_lite
        connection = IceConnection(
            self, controlling=controlling, limits=self._limits, clock=self._clock
        )
        self._open.append(connection)
        try:
            await connection.open(self._bind, self._ports)
            if peer is not None:
                connection.meet(peer, probe_private=self._probe_private)
            if self._closed:
                raise InvalidState("closed")
        except BaseException:
            await self._close(connection)
            raise
        replaced, self._pending = self._pending, connection
        if replaced is not None:
            await self._close(replaced)
        return connection

    def meet(self, peer: RemoteAudio) -> None:
        """Learn what answers the offer that described the newest connection."""
        if self._pending is not None:
            self._pending.meet(peer, probe_private=self._probe_private)

    async def connect(self) -> None:
        """Wait until ICE has chosen a pair for the first time, on whichever connection is newest.

        Raises:
            NegotiationFailed: not within the limit.
        """
        self._up = asyncio.get_running_loop().create_future()
        self.begin()
        await self._up

    def begin(self) -> None:
        """Start the checks on the prepared connection, if `connect` was called before."""
        if self._pending is not None and self._up is not None and not self._closed:
            # Ends with `aclose`; no task group can span the calls that start and stop it.
            task = asyncio.create_task(self._bring_up(self._pending))  # noqa: TID251
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def send(self, data: bytes) -> bool:
        """Send a datagram on the serving connection's pair of the moment; False without one."""
        serving = self.serving
        route = None if serving is None else serving.route
        if route is None:
            return False
        transport, address = route
        transport.sendto(data, address)
        return True

    def dtls_received(self, data: bytes) -> None:
        """Queue a DTLS record; when the queue is full the oldest goes."""
        if self._dtls.full():
            self._dtls.get_nowait()
            self.discarded["dtls_overflow"] += 1
        self._dtls.put_nowait(data)

    def consent_lost(self, connection: IceConnection) -> None:
        """Learn from a connection that its peer is gone; a pending restart may still save it."""
        if connection is self.serving:
            self._lost = True
            if self._pending is None:
                self._on_lost()

    async def aclose(self) -> None:
        """Close every socket, give every port back, leave no task; safe to repeat."""
        self._closed = True
        self._pending = self.serving = None
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        try:
            if tasks:
                await asyncio.wait(tasks)
        finally:
            self._fail("closed")
            if self._dtls.full():
                self._dtls.get_nowait()
            self._dtls.put_nowait(None)
            for connection in [*self._open]:
                await self._close(connection)

    async def _recv(self) -> bytes:
        data = None if self._closed else await self._dtls.get()
        if data is None:
            raise ConnectionError("closed")
        return data

    async def _send(self, data: bytes) -> None:
        if not self.send(data):
            raise ConnectionError("no path")

    async def _bring_up(self, connection: IceConnection) -> None:
        failure = ""
        try:
            async with asyncio.timeout(self._limits.ice):
                await connection.connect()
        except (TimeoutError, ConnectionError):
            failure = connection.failure()
        if connection is not self._pending:
            return
        self._pending = None
        if failure:
            await self._close(connection)
            self._fail(failure)
        else:
            await self._adopt(connection)

    async def _adopt(self, connection: IceConnection) -> None:
        old, self.serving = self.serving, connection
        self._lost = False
        self.role = "controlling" if connection.ice_controlling else "controlled"
        if self._up is not None and not self._up.done():
            self._up.set_result(None)
        if old is not None:
            self._on_restarted(True)  # noqa: FBT003 - a callback
            # What the peer sent on the old path before it heard of the new one is on its way.
            await asyncio.sleep(self._limits.linger)
            await self._close(old)

    def _fail(self, reason: str) -> None:
        if self._up is not None and not self._up.done():
            error = NegotiationFailed("ICE did not connect", stage="ice", reason=reason)
            self._up.set_exception(error)
        elif not self._closed:
            self._on_restarted(False)  # noqa: FBT003 - a callback
            if self._lost:
                self._on_lost()

    async def _close(self, connection: IceConnection) -> None:
        try:
            await connection.close()
        finally:
            if connection in self._open:
                self._open.remove(connection)
