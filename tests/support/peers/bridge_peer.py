"""One bridge-side peer on loopback, and strangers who send to its port."""

import asyncio
import socket
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import Any, Self, cast

import numpy as np
from aioice import stun
from aiortc import RTCIceTransport
from aiortc.sdp import SessionDescription
from typing_extensions import override

from bridge.audio.codec.opus import Opus, candidates, load
from bridge.audio.frame import FRAME_SAMPLES, SAMPLE_RATE, Frame
from bridge.rtc.config import PeerConfig, Timeouts
from bridge.rtc.dtls import Certificates
from bridge.rtc.peer import Peer
from bridge.rtc.ports import PortPool
from bridge.rtc.switchover import Switchover
from bridge.rtc.transport import Transport
from tests.support.machine import free_ports
from tests.support.packets.opus_packets import encode
from tests.support.packets.packet_path import packet_path, threads_at_work
from tests.support.peers.light_peer import Address, LightPeer, _Gatherer
from tests.support.peers.signalling import Exchange
from tests.support.virtual_time import VirtualTimeLoop, monotonic
from tests.support.waiting import until


@cache
def opus() -> Opus:
    """Load libopus once for all tests of a process."""
    return load(candidates())


@cache
def speech(packets: int = 10) -> tuple[bytes, ...]:
    """Opus packets of a tone."""
    moments = np.arange(packets * FRAME_SAMPLES) / SAMPLE_RATE
    return tuple(encode((9000 * np.sin(2 * np.pi * 440 * moments)).astype(np.int16)))


async def talk(browser: LightPeer, packets: int = 10) -> None:
    """Say some packets and wait for as many to come back.

    Raises:
        TimeoutError: fewer came.
    """
    before = len(browser.arrivals)
    await browser.speak(speech(packets))
    await until(lambda: len(browser.arrivals) >= before + packets)


async def talk_until_heard(browser: LightPeer, packets: int = 3) -> None:
    """Go on talking until something comes back: a bridge elsewhere may not be ready at once.

    Raises:
        TimeoutError: nothing came.
    """
    async with asyncio.timeout(10):
        while len(browser.arrivals) < packets:
            await browser.speak(speech())


def value(description: str, name: str) -> str:
    """Return the value of the first `a=name:` line."""
    prefix = f"a={name}:"
    return next(
        line.removeprefix(prefix) for line in description.splitlines() if line.startswith(prefix)
    )


class Echo:
    """Sends every frame back to the peer it came from and keeps it."""

    def __init__(self, peer: Peer) -> None:
        self.frames: list[Frame] = []
        self._peer = peer
        peer.session.attach(self._push)

    def _push(self, frame: Frame, now: float) -> None:
        self.frames.append(frame)
        self._peer.session.push(frame, now)


class BridgePeer:
    """A `Peer` that answers on loopback and echoes.

    Use as `async with BridgePeer() as bridge: await browser.call(bridge.exchange)`.

    Args:
        ports: How many UDP ports there are.
        timeouts: Times.
        config: Further members of `PeerConfig`.
    """

    def __init__(
        self, *, ports: int | PortPool = 4, timeouts: Timeouts | None = None, **config: Any
    ) -> None:
        self.pool = ports if isinstance(ports, PortPool) else PortPool(free_ports(ports))
        self.digits: list[str] = []
        self.restarts: list[bool] = []
        self.path = packet_path(opus(), monotonic)
        self.peer = Peer(
            config=PeerConfig(
                **{
                    "bind": ("127.0.0.1",),
                    "ports": self.pool,
                    "timeouts": replace(timeouts or Timeouts(), clock=monotonic),
                    "packet_path": self.path,
                    **config,
                }
            ),
            certificates=Certificates(),
            opus=opus(),
            on_digit=self.digits.append,
            on_restart=self.restarts.append,
        )
        self.echo: Echo | None = None
        self.connecting: asyncio.Task[None] | None = None
        self._end: asyncio.Task[str] | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if isinstance(loop, VirtualTimeLoop):
            loop.stand_still_while(threads_at_work)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._end is not None:
            self._end.cancel()
        await self.peer.aclose()
        if self.connecting is not None:
            await asyncio.gather(self.connecting, return_exceptions=True)
        if self.path is not None:
            self.path.close()

    async def connected(self) -> None:
        """Wait until the set-up that `exchange` began is over.

        Raises:
            NegotiationFailed: as `Peer.connect`.
        """
        assert self.connecting is not None
        await self.connecting

    @property
    def over(self) -> bool:
        """Whether the peer has ended."""
        assert self._end is not None
        return self._end.done()

    @property
    def transports(self) -> Switchover[Transport]:
        """The peer's transports."""
        return self.peer._transports

    @property
    def serving(self) -> Transport:
        """The transport in use."""
        assert self.transports.current is not None
        return self.transports.current

    @property
    def pending(self) -> Transport:
        """The transport that is coming up."""
        assert self.transports.next is not None
        return self.transports.next

    def give_up(self) -> None:
        """Cancel the set-up that `exchange` began."""
        assert self.connecting is not None
        self.connecting.cancel()

    async def synced(self) -> None:
        """Wait until the newest page is the one in use."""
        await until(lambda: self.transports.next is None)

    async def exchange(self, offer: str) -> str:
        """Answer the first offer and begin to connect, or answer a further one."""
        if self.connecting is not None:
            return (await self.peer.reoffer(offer))[0]
        answer = await self.peer.create_answer(offer)
        self.echo = Echo(self.peer)
        self.connecting = asyncio.create_task(self.peer.connect())
        self._end = asyncio.create_task(self.peer.wait_closed())
        return answer

    @property
    def discarded(self) -> dict[str, int]:
        """What changed nothing, by reason."""
        return self.peer.session.statistics().discarded


class Stranger:
    """A socket that is nobody's peer.

    Use as `with Stranger(address) as stranger: stranger.spray(datagrams)`.
    """

    def __init__(self, target: Address) -> None:
        self.target = target
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(("127.0.0.1", 0))

    def __enter__(self) -> "Stranger":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def spray(self, datagrams: Iterable[bytes], *, times: int = 1) -> int:
        """Send all of them, over and over; the number sent."""
        sent = 0
        for _ in range(times):
            for datagram in datagrams:
                self.socket.sendto(datagram, self.target)
                sent += 1
        return sent

    def received(self) -> list[bytes]:
        """Everything that has come until now."""
        datagrams = []
        while True:
            try:
                datagrams.append(self.socket.recv(2048))
            except BlockingIOError:
                return datagrams


class RoamingPeer(LightPeer):
    """A light peer that can leave its network and restart ICE from another socket."""

    def __init__(self) -> None:
        super().__init__()
        self._left: list[RTCIceTransport] = []

    def leave(self) -> None:
        """Neither hear nor say anything on the present path from now on."""
        self.stop_asking()
        self.hear_with(lambda data, addr: None)

    def stop_asking(self) -> None:
        """Send no consent checks any more."""
        task = self._gatherer.link._query_consent_task
        assert task is not None
        task.cancel()

    def hear_with(self, receive: Callable[[bytes, Address], object]) -> Callable[..., None]:
        """Let something else take what the socket receives; what took it before."""
        protocol: Any = self._gatherer.link._protocols[0]
        before: Callable[..., None] = protocol.datagram_received
        protocol.datagram_received = receive
        return before

    async def reoffer(self) -> str:
        """Write an offer with new ICE credentials on a new socket, same fingerprint."""
        self._left.append(self._ice)
        self._gatherer = _Gatherer("127.0.0.1")
        self._ice = RTCIceTransport(self._gatherer)
        if self.dtls.state == "new":
            self.dtls._transport = self._ice
        return await self.offer()

    async def restart(self, exchange: Exchange) -> None:
        """Restart ICE under the same DTLS association; returns when the new path is up."""
        old = self._gatherer.link
        answer = await exchange(await self.reoffer())
        link = self._gatherer.link
        # DTLS goes on reading where it read before.
        link._queue = old._queue
        link.on_media = self.receive
        media = SessionDescription.parse(answer).media[0]
        for candidate in media.ice_candidates:
            await self._ice.addRemoteCandidate(candidate)
        await self._ice.addRemoteCandidate(None)
        assert media.ice is not None
        await self._ice.start(media.ice)
        if self._ice.state != "completed":
            raise ConnectionError(f"ICE is {self._ice.state}")
        self.dtls._transport = self._ice
        self.answer_sdp = answer

    @override
    async def close(self) -> None:
        await super().close()
        for ice in self._left:
            await ice.stop()


class Prober(asyncio.DatagramProtocol):
    """A bare STUN speaker on one socket, with the credentials of an offer and its answer.

    Use as `prober = await Prober.open(browser, offer, answer)`: it is closed with the browser.
    """

    transport: asyncio.DatagramTransport

    def __init__(self, offer: str, answer: str) -> None:
        self.local, self.remote = _credentials(offer), _credentials(answer)
        media = SessionDescription.parse(answer).media[0]
        self.target = (media.ice_candidates[0].ip, media.ice_candidates[0].port)
        self.responses: list[stun.Message] = []
        self.requests: list[stun.Message] = []
        self.media: list[bytes] = []
        self.answering = True

    @classmethod
    async def open(
        cls, browser: LightPeer, offer: str, answer: str, sock: socket.socket | None = None
    ) -> Self:
        """Open on a socket, by default a new one; a browser closes it in the end."""
        prober = cls(offer, answer)
        where: dict[str, Any] = {"sock": sock} if sock else {"local_addr": ("127.0.0.1", 0)}
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: prober, **where)
        browser.beside.append(prober.transport)
        return prober

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    @override
    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if data[0] > 3:
            self.media.append(data)
            return
        message = stun.parse_message(data)
        if message.message_class != stun.Class.REQUEST:
            self.responses.append(message)
            return
        self.requests.append(message)
        if self.answering:
            response = stun.Message(
                stun.Method.BINDING, stun.Class.RESPONSE, message.transaction_id
            )
            response.attributes["XOR-MAPPED-ADDRESS"] = addr[:2]
            response.add_message_integrity(self.local[1].encode())
            self.transport.sendto(bytes(response), addr)

    def check(self, *, nominate: bool = False, password: str = "", **attributes: Any) -> None:
        """Send a check with valid credentials, or with another password."""
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{self.remote[0]}:{self.local[0]}"
        request.attributes["PRIORITY"] = 1000
        request.attributes["ICE-CONTROLLING"] = 1
        if nominate:
            request.attributes["USE-CANDIDATE"] = None
        request.attributes |= attributes
        request.add_message_integrity((password or self.remote[1]).encode())
        self.transport.sendto(bytes(request), self.target)


def _credentials(description: str) -> tuple[str, str]:
    ice = SessionDescription.parse(description).media[0].ice
    assert ice is not None
    assert ice.usernameFragment is not None
    assert ice.password is not None
    return ice.usernameFragment, ice.password
