"""A browser made of aiortc's ICE and DTLS objects and a few lines of RTP: every packet exact.

It sends ready-made Opus packets and notes each packet that comes in, with its time, in the very
callback that received it. Nothing is decoded, buffered or hidden. It shares no code with the
bridge. The load generator and all tests about single packets are built on it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from struct import Struct
from typing import Any, NamedTuple, Self, TypeAlias, cast

import aioice
import pylibsrtp
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aioice.ice import StunProtocol
from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport
from aiortc.sdp import SessionDescription
from typing_extensions import override

from tests.support.peers.signalling import Exchange
from tests.support.virtual_time import monotonic

Address: TypeAlias = tuple[str, int]
Endpoint: TypeAlias = Callable[
    [Callable[[], asyncio.DatagramProtocol], Address],
    Awaitable[tuple[Any, asyncio.DatagramProtocol]],
]
"""Opens a socket for a protocol, as `loop.create_datagram_endpoint` does."""

_HEADER = Struct("!BBHII")
_EVENT = Struct("!BBH")
DIGITS = "0123456789*#ABCD"


class Arrival(NamedTuple):
    """One RTP packet as it came in."""

    time: float
    """Monotonic seconds, taken first thing in the socket's callback."""
    sequence: int
    timestamp: int
    marker: bool
    payload_type: int
    ssrc: int
    payload: bytes


class Departure(NamedTuple):
    """One RTP packet as it went out."""

    time: float
    sequence: int
    timestamp: int


class LightPeer:
    """One browser: makes an offer, sends packets, notes packets.

    Use as `async with LightPeer() as peer: await peer.call(exchange)`.

    Args:
        host: Address to send and receive on.
        certificate: Shared by many peers to spare its making; None makes one.
        ssrc: Of what it sends.
        sequence: Of the first packet.
        timestamp: Of the first packet.
        direction: Direction offered.
        keep: Whether arrivals are kept in `arrivals`.
        endpoint: Opens its socket; None: the event loop does.
    """

    OPUS = 111
    EVENT_48000 = 110
    EVENT_8000 = 126

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        certificate: RTCCertificate | None = None,
        ssrc: int = 0x1234_5678,
        sequence: int = 1000,
        timestamp: int = 50_000,
        direction: str = "sendrecv",
        keep: bool = True,
        endpoint: Endpoint | None = None,
    ) -> None:
        self._gatherer = _Gatherer(host, endpoint)
        self._ice = RTCIceTransport(self._gatherer)
        self.dtls = RTCDtlsTransport(
            self._ice, [certificate or RTCCertificate.generateCertificate()]
        )
        self.ssrc = ssrc
        self.sequence = sequence
        self.timestamp = timestamp
        self.direction = direction
        self.arrivals: list[Arrival] = []
        self.rtcp: list[bytes] = []
        """Compound RTCP packets received, unprotected."""
        self.unreadable = 0
        """SRTP packets that failed authentication or replay checks here."""
        self.on_packet: Callable[[Arrival], None] | None = None
        self.answer_sdp = ""
        self.remote_addresses: list[Address] = []
        """Where the answer's candidates point."""
        self.beside: list[asyncio.BaseTransport] = []
        """Further sockets of the same browser, closed with it."""
        self._keep = keep
        self._marker = True
        self._over = asyncio.Event()
        self.dtls.on("statechange", self._on_state)
        self._ice.on("statechange", self._on_state)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def offer(self, *, candidates: bool = True) -> str:
        """Write an offer as Chrome would; `candidates=False` leaves the other side to be called."""
        await self._gatherer.gather()
        ice = self._gatherer.getLocalParameters()
        prints = self.dtls.getLocalParameters().fingerprints
        fingerprint = next(f.value for f in prints if f.algorithm == "sha-256")
        lines = [
            "v=0", "o=- 4611731400430051336 2 IN IP4 127.0.0.1", "s=-", "t=0 0",
            "a=group:BUNDLE 0", "a=msid-semantic: WMS",
            f"m=audio 9 UDP/TLS/RTP/SAVPF {self.OPUS} {self.EVENT_48000} {self.EVENT_8000}",
            "c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0",
            f"a=ice-ufrag:{ice.usernameFragment}", f"a=ice-pwd:{ice.password}",
            "a=ice-options:trickle", f"a=fingerprint:sha-256 {fingerprint}", "a=setup:actpass",
            "a=mid:0", f"a={self.direction}", "a=rtcp-mux", "a=rtcp-rsize",
            f"a=rtpmap:{self.OPUS} opus/48000/2", f"a=rtcp-fb:{self.OPUS} transport-cc",
            f"a=fmtp:{self.OPUS} minptime=10;useinbandfec=1",
            f"a=rtpmap:{self.EVENT_48000} telephone-event/48000",
            f"a=rtpmap:{self.EVENT_8000} telephone-event/8000",
            f"a=ssrc:{self.ssrc} cname:light-peer",
        ]  # fmt: skip
        if candidates:
            lines += [
                f"a=candidate:{c.foundation} 1 udp {c.priority} {c.ip} {c.port} typ host"
                for c in self._gatherer.getLocalCandidates()
            ]
        return "\r\n".join(lines) + "\r\n"

    async def accept(self, answer: str, *, timeout: float = 10.0) -> None:
        """Take the answer, connect, and wait until packets can be sent.

        Raises:
            ConnectionError: ICE or DTLS failed.
            TimeoutError: not connected in time.
        """
        self.answer_sdp = answer
        media = SessionDescription.parse(answer).media[0]
        for candidate in media.ice_candidates:
            self.remote_addresses.append((candidate.ip, candidate.port))
            await self._ice.addRemoteCandidate(candidate)
        await self._ice.addRemoteCandidate(None)
        assert media.dtls is not None
        assert media.ice is not None
        self.dtls._set_role("client" if media.dtls.role == "server" else "server")
        async with asyncio.timeout(timeout):
            await self._ice.start(media.ice)
            if self._ice.state != "completed":
                raise ConnectionError(f"ICE is {self._ice.state}")
            await self.dtls.start(media.dtls)
        if self.dtls.state != "connected":
            raise ConnectionError(f"DTLS is {self.dtls.state}")
        self._gatherer.link.on_media = self.receive

    async def call(self, exchange: Exchange, *, timeout: float = 10.0) -> None:
        """Offer, take the answer and connect."""
        await self.accept(await exchange(await self.offer()), timeout=timeout)

    async def close(self) -> None:
        """Send close_notify (DTLS) and free the sockets."""
        for transport in self.beside:
            transport.close()
        self._gatherer.link.on_media = None
        await self.dtls.stop()
        await self._ice.stop()

    async def wait_closed(self, timeout: float = 10.0) -> None:
        """Wait until `closed`.

        Raises:
            TimeoutError: still open.
        """
        async with asyncio.timeout(timeout):
            await self._over.wait()

    def _on_state(self) -> None:
        if self.closed:
            self._over.set()

    @property
    def closed(self) -> bool:
        """Whether the other side has closed, or the connection was lost."""
        return self.dtls.state in ("closed", "failed") or self._ice.state in ("closed", "failed")

    def send(self, payload: bytes, *, samples: int = 960, payload_type: int = OPUS) -> Departure:
        """Send one packet at once; `samples` is how far the timestamp moves (48 kHz)."""
        departure = Departure(monotonic(), self.sequence, self.timestamp)
        self.send_rtp(self.header(payload_type, self.timestamp, marker=self._marker) + payload)
        self._marker = False
        self._advance(samples)
        return departure

    def skip(self, packets: int = 1, *, samples: int = 960) -> None:
        """Go on as if this many packets had been sent and were lost."""
        for _ in range(packets):
            self._advance(samples)

    def pause(self, samples: int) -> None:
        """Let time pass without packets (DTX): the timestamp goes on, the sequence does not."""
        self.timestamp = (self.timestamp + samples) & 0xFFFF_FFFF
        self._marker = True

    async def speak(self, packets: Iterable[bytes | None]) -> list[Departure]:
        """Send one packet every 20 ms; None is a packet that is lost on the way."""
        begun = asyncio.get_running_loop().time()
        departures = []
        for number, payload in enumerate(packets):
            await asyncio.sleep(begun + number * 0.02 - asyncio.get_running_loop().time())
            if payload is None:
                self.skip()
            else:
                departures.append(self.send(payload))
        return departures

    async def send_digit(self, digit: str, *, clock: int = 48_000, packets: int = 5) -> None:
        """Press a key: RFC 4733 packets of 20 ms each, the last one three times."""
        kind = self.EVENT_48000 if clock == 48_000 else self.EVENT_8000
        begun, event = self.timestamp, DIGITS.index(digit)
        for number in range(1, packets + 3):
            end = number >= packets
            duration = min(number, packets) * clock // 50
            body = _EVENT.pack(event, (0x80 if end else 0) | 10, duration)
            self.send_rtp(self.header(kind, begun, marker=number == 1) + body)
            self.sequence = (self.sequence + 1) & 0xFFFF
            await asyncio.sleep(0.02)
        self.timestamp = (begun + packets * 960) & 0xFFFF_FFFF

    def send_rtp(self, packet: bytes) -> None:
        """Protect and send an RTP packet as it is."""
        self.send_datagram(self.dtls._tx_srtp.protect(packet))

    def send_rtcp(self, packet: bytes) -> None:
        """Protect and send a compound RTCP packet as it is."""
        self.send_datagram(self.dtls._tx_srtp.protect_rtcp(packet))

    def send_datagram(self, data: bytes) -> None:
        """Send bytes on the nominated pair, unprotected."""
        transport, remote = self.route()
        transport.sendto(data, remote)

    def route(self) -> tuple[Any, Address]:
        """Return the transport of the nominated pair and the address that it sends to."""
        pair = self._gatherer.link._nominated[1]
        return pair.protocol.transport, pair.remote_addr

    def protect(self, packet: bytes) -> bytes:
        """Protect an RTP packet without sending it (to send it twice, or from elsewhere)."""
        protected: bytes = self.dtls._tx_srtp.protect(packet)
        return protected

    def header(self, payload_type: int, timestamp: int, *, marker: bool) -> bytes:
        return _HEADER.pack(
            0x80, payload_type | (0x80 if marker else 0), self.sequence, timestamp, self.ssrc
        )

    def _advance(self, samples: int) -> None:
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + samples) & 0xFFFF_FFFF

    def receive(self, data: bytes) -> None:
        """Take a datagram of media, as it came."""
        now = monotonic()
        try:
            if 192 <= data[1] <= 223:
                self.rtcp.append(self.dtls._rx_srtp.unprotect_rtcp(data))
                return
            plain = self.dtls._rx_srtp.unprotect(data)
        except pylibsrtp.Error:
            self.unreadable += 1
            return
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(plain)
        begin = 12 + 4 * (first & 15)
        if first & 0x10:
            begin += 4 + 4 * int.from_bytes(plain[begin + 2 : begin + 4], "big")
        end = len(plain) - (plain[-1] if first & 0x20 else 0)
        arrival = Arrival(
            now, sequence, timestamp, second > 127, second & 127, ssrc, plain[begin:end]
        )
        if self._keep:
            self.arrivals.append(arrival)
        if self.on_packet is not None:
            self.on_packet(arrival)


class _Protocol(StunProtocol):
    """Passes media on without first trying to read it as STUN."""

    @override
    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        datagram = cast("bytes", data)
        if datagram and datagram[0] > 3:
            self.receiver.data_received(datagram, 1)
        elif datagram:
            super().datagram_received(datagram, addr)


class _Link(aioice.Connection):
    """ICE over one socket of one address; media goes to `on_media` in the socket's callback."""

    def __init__(self, host: str, endpoint: Endpoint | None = None) -> None:
        super().__init__(ice_controlling=True, use_ipv6=":" in host)
        self._host = host
        self._endpoint = endpoint or _open
        self.on_media: Callable[[bytes], None] | None = None

    @override
    def data_received(self, data: bytes, component: int) -> None:
        if not 127 < data[0] < 192:
            super().data_received(data, component)
        elif self.on_media is not None:
            self.on_media(data)

    @override
    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: int = 5
    ) -> list[Candidate]:
        transport, opened = await self._endpoint(lambda: _Protocol(self), (self._host, 0))
        protocol = cast("_Protocol", opened)
        host, port = transport.get_extra_info("sockname")[:2]
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host), component=component,
            transport="udp", priority=candidate_priority(component, "host"),
            host=host, port=port, type="host",
        )  # fmt: skip
        self._protocols.append(protocol)
        return [protocol.local_candidate]


async def _open(
    factory: Callable[[], asyncio.DatagramProtocol], address: Address
) -> tuple[Any, asyncio.DatagramProtocol]:
    loop = asyncio.get_running_loop()
    return await loop.create_datagram_endpoint(factory, local_addr=address)


class _Gatherer(RTCIceGatherer):
    def __init__(self, host: str, endpoint: Endpoint | None = None) -> None:
        super().__init__(iceServers=[])
        self.link = _Link(host, endpoint)
        self._connection = self.link


@contextmanager
def patient_peers() -> Iterator[None]:
    """Let peers of aioice ask on, who else give up after six checks in a row without an answer within half a second.

    On a busy machine no other comes.
    """
    settings: dict[str, Any] = vars(aioice.ice)
    usual, settings["CONSENT_FAILURES"] = settings["CONSENT_FAILURES"], 1000
    try:
        yield
    finally:
        settings["CONSENT_FAILURES"] = usual


async def close_all(peers: Iterable[LightPeer]) -> None:
    """Close many peers, whatever happened to them."""
    for peer in peers:
        with suppress(ConnectionError):
            await peer.close()
