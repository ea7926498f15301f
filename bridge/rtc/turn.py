"""A client of a TURN server (RFC 8656) that sends one packet through it, there and back."""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from enum import Enum
from typing import Final, cast

from aioice.stun import TransactionError, TransactionFailed
from aioice.turn import TurnTransport, create_turn_endpoint
from typing_extensions import override

PAYLOAD: Final = b"media bridge"
TRIES: Final = (0.5, 1.0, 1.5)
"""Timeout of each packet sent through the relay, in seconds."""
ALLOCATE_SECONDS: Final = 6.0
DELETE_SECONDS: Final = 1.0
LIFETIME: Final = 60
"""Seconds that are asked for; a server may grant more."""
DEFAULT_PORT: Final = 3478
DEFAULT_TLS_PORT: Final = 5349


@dataclass(frozen=True, slots=True)
class TurnAddress:
    """Where a TURN URL (RFC 7065) leads."""

    host: str
    port: int
    transport: str
    """`udp` or `tcp`, between client and server."""
    tls: bool


class RelayStep(Enum):
    """How far a packet came."""

    DONE = "done"
    CONNECT = "connect"
    """The server does not answer."""
    CERTIFICATE = "certificate"
    ALLOCATE = "allocate"
    """It refuses an allocation."""
    PERMISSION = "permission"
    """It refuses to send to the peer."""
    THERE = "there"
    """The packet did not arrive at the peer."""
    BACK = "back"
    """The peer's answer did not come back."""


@dataclass(frozen=True, slots=True)
class RelayOutcome:
    """What came of a packet."""

    step: RelayStep
    """The one that failed, or `DONE`."""
    code: int = 0
    """Of the server's refusal (RFC 8656 section 18.8), if that failed."""
    relayed: str = ""
    """The relayed address."""


def turn_address(url: str) -> TurnAddress:
    """Parse a `turn:` or `turns:` URL."""
    scheme, _, rest = url.partition(":")
    place, _, query = rest.partition("?")
    tls = scheme == "turns"
    transport = "tcp" if tls or "transport=tcp" in query.lower() else "udp"
    host, _, port = place.rpartition(":")
    if not (host and port.isdecimal()):
        host, port = place, str(DEFAULT_TLS_PORT if tls else DEFAULT_PORT)
    return TurnAddress(host.strip("[]"), int(port), transport, tls)


async def send_through_relay(
    server: TurnAddress, credentials: tuple[str, str], media: socket.socket, peer: tuple[str, int]
) -> RelayOutcome:
    """Send a packet by way of a TURN server to one of our own UDP sockets, and an answer back.

    `media` is the bound socket, which is closed; `peer` its address as the server is to reach it.
    """
    loop = asyncio.get_running_loop()
    echo_transport, echo = await loop.create_datagram_endpoint(_Echo, sock=media)
    try:
        return await _allocate_and_send(server, credentials, echo, peer)
    finally:
        echo_transport.close()


async def _allocate_and_send(
    server: TurnAddress, credentials: tuple[str, str], echo: "_Echo", peer: tuple[str, int]
) -> RelayOutcome:
    try:
        async with asyncio.timeout(ALLOCATE_SECONDS):
            transport, client = await create_turn_endpoint(
                _Client,
                (server.host, server.port),
                *credentials,
                lifetime=LIFETIME,
                ssl=server.tls or None,
                transport=server.transport,
            )
    except TransactionFailed as error:
        return RelayOutcome(RelayStep.ALLOCATE, error.response.error_code or 0)
    except ssl.SSLError:
        return RelayOutcome(RelayStep.CERTIFICATE)
    except (OSError, TransactionError):
        return RelayOutcome(RelayStep.CONNECT)
    try:
        return await _send(transport, client, echo, peer)
    finally:
        transport.close()
        await asyncio.wait([client.closed], timeout=DELETE_SECONDS)


async def _send(
    transport: TurnTransport, client: "_Client", echo: "_Echo", peer: tuple[str, int]
) -> RelayOutcome:
    relayed = transport.get_extra_info("sockname")[0]
    for seconds in TRIES:
        transport.sendto(PAYLOAD, peer)
        await asyncio.wait([client.heard], timeout=seconds)
        if client.refusal is not None:
            return RelayOutcome(RelayStep.PERMISSION, client.refusal, relayed)
        if client.heard.done():
            return RelayOutcome(RelayStep.DONE, relayed=relayed)
    step = RelayStep.BACK if echo.heard else RelayStep.THERE
    return RelayOutcome(step, relayed=relayed)


class _Echo(asyncio.DatagramProtocol):
    """The peer: sends the payload back to where it comes from."""

    def __init__(self) -> None:
        self.heard = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    @override
    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        if data == PAYLOAD:
            self.heard = True
            self._transport.sendto(data, addr)


class _Client(asyncio.DatagramProtocol):
    """Behind the allocation."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.heard: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.refusal: int | None = None

    @override
    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        if data == PAYLOAD and not self.heard.done():
            self.heard.set_result(None)

    @override
    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, TransactionFailed):
            self.refusal = exc.response.error_code or 0
        if not self.heard.done():
            self.heard.set_result(None)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
