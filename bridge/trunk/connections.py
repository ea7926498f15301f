"""The TCP and TLS connections of SIP: accepted ones within limits, and ours, which are reopened when needed."""

import asyncio
import os
import secrets
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bridge.http.connections import Connections
from bridge.sip.boundary import Target, Transport
from bridge.tasks import Tasks
from bridge.trunk.streams import SipStream
from bridge.trunk.tls import client_context

MAX_ACCEPTED: Final = 512
"""Accepted connections of one node; beyond that the oldest unauthenticated one is closed."""
MAX_PER_ADDRESS: Final = 32
"""Accepted connections of one address that is no trunk's."""
MAX_DESTINATIONS: Final = 1024
"""Remembered destinations; the least recently used is forgotten."""
MAX_OPENING: Final = 256
"""Messages to trunks that wait for a connection, and as many to all others; more are dropped and counted as `no_room`."""
CONNECT_SECONDS: Final = 5.0
"""For the TCP and TLS handshakes together."""
CLOSE_SECONDS: Final = 0.5
"""At shutdown, for buffered messages."""
SWEEP_SECONDS: Final = 5.0
PING_SECONDS: Final = 25.0
"""Silence on a connection of ours before a keep-alive."""
IDLE_SECONDS: Final = 600.0
"""A connection without messages for so long is closed; a dialog opens another when it needs it."""
UNAUTHENTICATED_SECONDS: Final = 20.0
"""For the first message on an accepted connection; counted as `silent`."""


@dataclass(frozen=True, slots=True)
class Destination:
    """How to connect to a peer."""

    transport: Transport
    host: str
    port: int
    name: str
    """The host that a TLS certificate must name."""
    owner: str
    """The trunk that the connection is for."""


class SipConnections:
    """All SIP connections of one node; each of ours keeps its number when it is reopened."""

    def __init__(
        self,
        *,
        received: Callable[[bytes, Target], None],
        failed: Callable[[Target], None],
        count_drop: Callable[[str], None],
        client_tls: ssl.SSLContext | None,
        accepted: Connections,
        known: Callable[[str], bool],
    ) -> None:
        """`accepted` limits what others open; `known` says whether an address is a trunk's."""
        self._received = received
        self._failed = failed
        self.count_drop = count_drop
        self._client_tls = client_tls
        self._accepted = accepted
        self._known = known
        self._count = secrets.randbits(40)
        """The last number given, none of which is another process's: dialogs that pass on keep theirs."""
        self._streams: dict[int, SipStream] = {}
        """Open connections."""
        self._destinations: dict[Destination, int] = {}
        """Numbers of ours, open or not, the longest unused first."""
        self._opening: dict[Destination, asyncio.Future[SipStream]] = {}
        self._by_address: Counter[str] = Counter()
        self._to_send: Counter[bool] = Counter()
        """Messages that wait for a connection, to trunks and to all others."""
        self._one_closed = asyncio.Event()
        self._tasks = Tasks()

    def accept(self, *, tls: bool) -> SipStream:
        """Make the protocol of an accepted connection."""
        return SipStream(self, tls=tls, accepted=True, now=asyncio.get_running_loop().time)

    def find(self, number: int) -> SipStream | None:
        """Return an open connection."""
        return self._streams.get(number)

    async def reach(self, destination: Destination) -> SipStream:
        """Return the connection to a peer, opened if need be.

        Raises:
            OSError: the peer refuses it, does not answer, or has no certificate that can be trusted.
        """
        number = self._destinations.pop(destination, 0)
        if not number:
            self._count += 1
            number = self._count
        self._destinations[destination] = number
        self._forget_destinations()
        if (stream := self._streams.get(number)) is not None:
            return stream
        opening = self._opening.get(destination)
        if opening is None:
            opening = asyncio.get_running_loop().create_future()
            self._opening[destination] = opening
            self._tasks.spawn(self._open(destination, number, opening), name="sip.connect")
        return await asyncio.shield(opening)

    def send(self, data: bytes, target: Target) -> None:
        """Send a message over the target's connection, or one that is opened for it."""
        stream = self._streams.get(target.connection)
        if stream is not None and stream.send(data):
            return
        known = self._known(target.host)
        if self._to_send[known] >= MAX_OPENING:
            self.count_drop("no_room")
            asyncio.get_running_loop().call_soon(self._failed, target)
            return
        self._to_send[known] += 1
        self._tasks.spawn(self._send_later(data, target, known=known), name="sip.send")

    def __len__(self) -> int:
        return len(self._streams)

    async def run(self) -> None:
        """Send keep-alives, and close what is idle, until cancelled; then close everything."""
        now = asyncio.get_running_loop().time
        self._tasks.spawn(self._accepted.run(), name="sip.accepted")
        try:
            while True:
                await asyncio.sleep(SWEEP_SECONDS)
                for stream in tuple(self._streams.values()):
                    self._sweep(stream, now())
        finally:
            await self._tasks.aclose()
            await self._close_all()

    async def _close_all(self) -> None:
        """Close all connections once their buffers are empty, after `CLOSE_SECONDS` at once."""
        for stream in tuple(self._streams.values()):
            stream.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._streams:
                    self._one_closed.clear()
                    await self._one_closed.wait()
        for stream in tuple(self._streams.values()):
            stream.abort()
        await asyncio.sleep(0)

    # What a stream reports

    def opened(self, stream: SipStream) -> bool:
        """Register a new connection; False closes it (`StreamOwner`)."""
        if stream.accepted:
            stream.number = self._count = self._count + 1
            if self._by_address[stream.host] >= MAX_PER_ADDRESS and not self._known(stream.host):
                self.count_drop("per_address")
                return False
            self._by_address[stream.host] += 1
        self._streams[stream.number] = stream
        return True

    def received(self, stream: SipStream, message: bytes) -> None:
        """Take a message (`StreamOwner`)."""
        self._received(message, _target(stream))

    def closed(self, stream: SipStream) -> None:
        """Forget a closed connection (`StreamOwner`)."""
        if self._streams.get(stream.number) is not stream:
            return
        del self._streams[stream.number]
        self._one_closed.set()
        if stream.accepted:
            self._by_address -= Counter((stream.host,))  # without those that have none
        self._failed(_target(stream))

    async def _open(
        self, destination: Destination, number: int, opening: asyncio.Future[SipStream]
    ) -> None:
        loop = asyncio.get_running_loop()
        tls = self._tls() if destination.transport == "tls" else None

        def create() -> SipStream:
            stream = SipStream(self, tls=tls is not None, accepted=False, now=loop.time)
            stream.number = number
            return stream

        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, stream = await loop.create_connection(
                    create,
                    destination.host,
                    destination.port,
                    ssl=tls,
                    server_hostname=destination.name if tls is not None else None,
                )
            opening.set_result(stream)
        except (OSError, TimeoutError) as error:
            opening.set_exception(_reason(error))
            opening.exception()  # retrieved, in case nobody waits any more
        finally:
            opening.cancel()
            del self._opening[destination]

    async def _send_later(self, data: bytes, target: Target, *, known: bool) -> None:
        try:
            await self._connect_and_send(data, target)
        finally:
            self._to_send[known] -= 1

    async def _connect_and_send(self, data: bytes, target: Target) -> None:
        place = (target.transport, target.host, target.port)
        known = [
            (number != target.connection, at, each)
            for at, (each, number) in enumerate(self._destinations.items())
            if number == target.connection or (each.transport, each.host, each.port) == place
        ]
        # One of another number is of the same peer, whose name its certificate has.
        destination = min(known)[2] if known else Destination(*place, target.host, "")
        with suppress(OSError):
            stream = await self.reach(destination)
            if stream.send(data):
                return
        self._failed(target)

    def _sweep(self, stream: SipStream, now: float) -> None:
        if (
            stream.accepted
            and not stream.spoken
            and now - stream.opened_at > UNAUTHENTICATED_SECONDS
        ):
            self.count_drop("silent")
            stream.abort()
        elif now - stream.used_at > IDLE_SECONDS:
            stream.close()
        elif not stream.accepted and now - max(stream.heard_at, stream.used_at) > PING_SECONDS:
            stream.keep_alive()

    def _tls(self) -> ssl.SSLContext:
        if self._client_tls is None:
            self._client_tls = client_context()
        return self._client_tls

    def _forget_destinations(self) -> None:
        if len(self._destinations) > MAX_DESTINATIONS:
            unused = (
                destination
                for destination, number in self._destinations.items()
                if number not in self._streams and destination not in self._opening
            )
            del self._destinations[next(unused, next(iter(self._destinations)))]


def _target(stream: SipStream) -> Target:
    return Target("tls" if stream.tls else "tcp", stream.host, stream.port, stream.number)


def _reason(error: Exception) -> OSError:
    """Return the error with a text that names no address."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return OSError(None, f"certificate: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return OSError(None, f"TLS: {(error.reason or 'failed').lower().replace('_', ' ')}")
    if isinstance(error, TimeoutError) and not error.errno:
        return OSError(None, "the connection timed out")
    number = error.errno if isinstance(error, OSError) else None
    return OSError(
        number, os.strerror(number) if number and number > 0 else "the connection failed"
    )
