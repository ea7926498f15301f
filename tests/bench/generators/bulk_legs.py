"""Many legs of the load in one loop step: for servers that carry more than peers one by one can load.

A peer made of transports and timers takes the generator 50 µs for each packet sent and received.
Here one `epoll` object watches the sockets of all legs, one clock tells whose packet is due, and
what comes is only noted: with the time at which the kernel received it, and decrypted on a few legs.
A generator that is busy itself therefore does not add to the delays that it measures, except by
what it takes to send: a packet's delay runs from just before it is handed to the kernel.
"""

import asyncio
import math
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from struct import Struct
from typing import Any, cast

from pylibsrtp._binding import ffi, lib  # type: ignore[import-not-found]
from typing_extensions import override

from tests.bench import measure
from tests.bench.generators.signal import PERIOD_FRAMES, Loop
from tests.bench.generators.talker import FRAME_SAMPLES, FRAME_SECONDS, Speaker
from tests.bench.measure import Packet
from tests.support.packets.impairment import Impairment
from tests.support.peers.light_peer import Departure, LightPeer

_STAMPS = 35
"""SO_TIMESTAMPNS of Linux, which the socket module does not name."""
_TIMESPEC = Struct("@qq")
_HEADER = Struct("!BBHII")
_LARGEST = 2048
_SPREAD = 0.618_033_988_75
"""Multiples of the golden ratio lie evenly in an interval, however many there are."""
_POLL_SECONDS = 0.001
"""The timers of uvloop are no finer."""


class SocketTransport(asyncio.DatagramTransport):
    """A socket whose datagrams `LegPoller` reads: as much of a transport as ICE needs."""

    def __init__(self, sock: socket.socket, protocol: Any, forget: Callable[[int], None]) -> None:
        super().__init__()
        self.socket = sock
        self.protocol = protocol
        self.packets: list[tuple[bytes, bytes]] | None = None
        """Where RTP is noted: the kernel's time (a timespec) and the datagram; None: nowhere."""
        self.decoded = True
        """Whether RTP goes to the protocol too."""
        self._forget = forget

    @override
    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send one datagram; what the socket refuses is lost."""
        with suppress(OSError):
            self.socket.sendto(data, addr)

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the socket or its address."""
        return {"socket": self.socket, "sockname": self.socket.getsockname()}.get(name, default)

    @override
    def close(self) -> None:
        """Close the socket."""
        if self.socket.fileno() >= 0:
            self._forget(self.socket.fileno())
            self.socket.close()
            self.protocol.connection_lost(None)

    @override
    def abort(self) -> None:
        """Close the socket."""
        self.close()

    @override
    def is_closing(self) -> bool:
        """Tell whether the socket is closed."""
        return self.socket.fileno() < 0


class LegPoller:
    """Reads the sockets of all legs and sends what is due, until `close`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._transports: dict[int, SocketTransport] = {}
        self._due: deque[BulkLeg] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._offset = 0.0
        self.align()
        self._loop.add_reader(self._epoll.fileno(), self._receive)

    async def open(
        self, factory: Callable[[], asyncio.DatagramProtocol], address: tuple[str, int]
    ) -> tuple[SocketTransport, asyncio.DatagramProtocol]:
        """Open a socket, as `loop.create_datagram_endpoint` does."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, _STAMPS, 1)
        sock.bind(address)
        protocol = factory()
        transport = SocketTransport(sock, protocol, self._forget)
        self._transports[sock.fileno()] = transport
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        protocol.connection_made(transport)
        return transport, protocol

    def moment(self, stamp: bytes) -> float:
        """Return the time of a kernel's stamp, in seconds of `time.monotonic`."""
        seconds, nanoseconds = _TIMESPEC.unpack(stamp)
        return cast("float", seconds + nanoseconds / 1e9 - self._offset)

    def align(self) -> None:
        """Hold the kernel's wall clock against the clock of the measurement, as both drift."""
        self._offset = min(time.time() - time.monotonic() for _ in range(100))

    def begin(self, leg: "BulkLeg") -> None:
        """Send a leg's packets from now on."""
        self._due.append(leg)
        self._order()
        if self._timer is None:
            self._timer = self._loop.call_later(_POLL_SECONDS, self._tick)

    def end(self, leg: "BulkLeg") -> None:
        """Send no more of a leg's packets."""
        with suppress(ValueError):
            self._due.remove(leg)

    def close(self) -> None:
        """Watch nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _order(self) -> None:
        """Put who is due first in front; all move by a frame, so the order then stays."""
        self._due = deque(sorted(self._due, key=lambda leg: leg.due))

    def _tick(self) -> None:
        self._send_due()
        self._timer = self._loop.call_later(_POLL_SECONDS, self._tick) if self._due else None

    def _send_due(self) -> None:
        waiting, now = self._due, time.monotonic()
        while waiting and waiting[0].due <= now:
            leg = waiting.popleft()
            leg.send()
            waiting.append(leg)
            now = time.monotonic()

    def _receive(self) -> None:
        transports = self._transports
        for number, _ in self._epoll.poll(0):
            transport = transports.get(number)
            if transport is not None:
                _read(transport)
        self._send_due()

    def _forget(self, number: int) -> None:
        del self._transports[number]
        self._epoll.unregister(number)


def _read(transport: SocketTransport) -> None:
    """Read one datagram: RTP is noted, all else goes to the protocol."""
    try:
        data, stamps, _, address = transport.socket.recvmsg(_LARGEST, 64)
    except OSError:  # an ICMP error of an earlier packet
        return
    if transport.packets is not None and 127 < data[0] < 192 and not 192 <= data[1] <= 223:
        transport.packets.append((stamps[0][2], data))
        if not transport.decoded:
            return
    transport.protocol.datagram_received(data, address)


class BulkLeg:
    """One leg of the load that sends the loop's packets when the poller says so: a light `Talker`.

    Args:
        number: Among all legs; each begins elsewhere in the loop.
        peer: Connected, over a socket of the poller.
        loop: What it says.
        poller: Of all legs.
        decoded: Whether what comes is decrypted, so that onsets can be looked for.
    """

    def __init__(
        self, number: int, peer: LightPeer, loop: Loop, poller: LegPoller, *, decoded: bool
    ) -> None:
        self.number = number
        self.peer = peer
        self.hears: Speaker | None = None
        """Whose packets come here."""
        self.lateness: list[float] = []
        self.due = 0.0
        """When its next packet is to be sent."""
        self._offset: int | None = None
        """Timestamps that come here less those of the leg that is heard; found while all is calm."""
        self._loop = loop
        self._poller = poller
        self._frame = number * 7 % PERIOD_FRAMES
        self._sent: list[tuple[float, int, int]] = []
        """When, timestamp, number of the frame."""
        self._session = peer.dtls._tx_srtp._srtp[0]
        self._packet = ffi.new("char[]", _LARGEST)
        self._bytes = memoryview(ffi.buffer(self._packet))
        self._length = ffi.new("int *")
        self._transport, remote = peer.route()
        self._transport.decoded = decoded
        self._transport.packets = []
        self._transport.socket.connect(remote)

    def start(self) -> None:
        """Begin to talk, at a moment of the 20 ms that other legs leave free."""
        self.due = time.monotonic() + self.number * _SPREAD % 1 * FRAME_SECONDS
        self._poller.begin(self)

    def stop(self) -> None:
        """Fall silent."""
        self._poller.end(self)

    def resume(self) -> None:
        """Talk again after `stop`, in the phase of before; nothing was sent meanwhile (DTX)."""
        missed = max(0, math.ceil((time.monotonic() - self.due) / FRAME_SECONDS))
        self.peer.pause(missed * FRAME_SAMPLES)
        self.due += missed * FRAME_SECONDS
        self._offset = None
        self._poller.begin(self)

    def begin_window(self, network: Impairment) -> None:
        """Forget what was measured.

        Raises:
            ValueError: the network is not a good one.
        """
        if network.loss or network.jitter:
            raise ValueError("many legs at once have a good network")
        self._sent.clear()
        self.lateness.clear()
        self.peer.arrivals.clear()
        assert self._transport.packets is not None
        self._transport.packets.clear()

    def send(self) -> None:
        """Send the next packet."""
        peer, payload, length = self.peer, self._loop.payload(self._frame), self._length
        size = 12 + len(payload)
        _HEADER.pack_into(self._bytes, 0, 0x80, peer.OPUS, peer.sequence, peer.timestamp, peer.ssrc)
        self._bytes[12:size] = payload
        length[0] = size
        if lib.srtp_protect(self._session, self._packet, length):
            raise AssertionError("libsrtp refused a packet")
        now = time.monotonic()
        with suppress(OSError):
            self._transport.socket.send(self._bytes[: length[0]])
        self.lateness.append(now - self.due)
        self._sent.append((now, peer.timestamp, self._frame))
        self._frame += 1
        self.due += FRAME_SECONDS
        peer.skip()

    @property
    def onsets(self) -> Sequence[Departure]:
        """When the packets with an onset were sent."""
        return [
            Departure(moment, -1, stamp)
            for moment, stamp, frame in self._sent
            if self._loop.is_onset(frame)
        ]

    def delays(self, speaker: "BulkLeg") -> list[tuple[float, float]]:
        """Return when each packet of the leg that is heard was sent, and how long it took here."""
        sent, came = speaker.sent(), self.came()
        if self._offset is None:
            self._offset = measure.timestamp_offset(sent, came)
        offset = 0 if self._offset is None else self._offset
        return measure.packet_delays(sent, came, offset)

    def sent(self) -> list[Packet]:
        """Return when each packet was sent, and its timestamp."""
        return [Packet(moment, stamp) for moment, stamp, _ in self._sent]

    def came(self) -> list[Packet]:
        """Return when each packet came, and its timestamp."""
        return [
            Packet(self._poller.moment(stamp), int.from_bytes(data[4:8], "big"))
            for stamp, data in self._transport.packets or ()
        ]
