"""A browser's side of TURN."""

import asyncio

from aioice import stun
from aioice.turn import TurnClientTcpProtocol, TurnClientUdpProtocol


class TurnClient:
    """A browser's side of TURN, as aioice does it."""

    def __init__(
        self, server: tuple[str, int], username: str, password: str, *, transport: str = "udp"
    ) -> None:
        self._server = server
        self._tcp = transport == "tcp"
        protocol = TurnClientTcpProtocol if self._tcp else TurnClientUdpProtocol
        self.protocol = protocol(
            self._server, username, password, lifetime=600, channel_refresh_time=500
        )

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self._transport: asyncio.BaseTransport
        if self._tcp:
            self._transport, _ = await loop.create_connection(lambda: self.protocol, *self._server)
        else:
            self._transport, _ = await loop.create_datagram_endpoint(
                lambda: self.protocol, remote_addr=self._server
            )
        return self

    async def __aexit__(self, *_):
        if self.protocol.refresh_task:
            self.protocol.refresh_task.cancel()
        self._transport.close()
        await asyncio.sleep(0)

    async def allocate(self):
        """Return the relayed address."""
        return await self.protocol.connect()

    async def reach(self, peer):
        """Ask for a channel to a peer."""
        request = stun.Message(
            message_method=stun.Method.CHANNEL_BIND, message_class=stun.Class.REQUEST
        )
        request.attributes["CHANNEL-NUMBER"] = 0x4000
        request.attributes["XOR-PEER-ADDRESS"] = peer
        await self.protocol.request_with_retry(request)
