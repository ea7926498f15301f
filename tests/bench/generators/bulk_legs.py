"""Many legs of the load in one loop step: for servers that carry more than peers one by one can load.

A peer made of transports and timers takes the generator 50 µs for each packet sent and received.
Here one loop in C (`bulk_legs.c`), 4000 times a second, sends what is due of all legs, and only notes what came: with the
time at which the kernel received it, and decrypted on a few legs.
A generator that is busy itself therefore does not add to the delays that it measures, except by
what it takes to send: a packet's delay runs from just before it is handed to the kernel.
"""

import asyncio
import math
import os
import select
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import cffi
from typing_extensions import override

from bridge.rtc import private_api
from bridge.rtc.packet_path_build import find_compiler
from tests.bench import measure
from tests.bench.generators.signal import PERIOD_FRAMES, Loop
from tests.bench.generators.talker import FRAME_SAMPLES, FRAME_SECONDS, Speaker
from tests.bench.measure import Packet
from tests.support.packets.impairment import Impairment
from tests.support.peers.light_peer import Address, Departure, LightPeer

SOURCE = Path(__file__).with_name("bulk_legs.c")
DTX_FRAMES = 20
"""Of these an encoder sends one in silence (RFC 7587, section 3.1.3)."""
_STAMPS = 35
"""SO_TIMESTAMPNS of Linux, which the socket module does not name."""
_LARGEST = 2048
_SPREAD = 0.618_033_988_75
"""Multiples of the golden ratio lie evenly in an interval, however many there are."""
_POLL_NANOSECONDS = 250_000
"""Less than the timers of uvloop can do: legs that send together would be handled together."""

_Object: TypeAlias = Any
"""Of C."""


class SocketTransport(asyncio.DatagramTransport):
    """A socket whose datagrams `LegPoller` reads: as much of a transport as ICE needs."""

    def __init__(self, sock: socket.socket, protocol: Any, forget: Callable[[int], None]) -> None:
        super().__init__()
        self.socket = sock
        self.remote: Address | None = None
        """Where it is connected to."""
        self._protocol = protocol
        self._forget = forget

    def read(self) -> None:
        """Read one datagram."""
        with suppress(OSError):  # an ICMP error of an earlier packet
            self._protocol.datagram_received(*self.socket.recvfrom(_LARGEST))

    def take(self, datagram: bytes) -> None:
        """Hand a datagram on that came over the connected socket."""
        self._protocol.datagram_received(datagram, self.remote)

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
            self._protocol.connection_lost(None)

    @override
    def abort(self) -> None:
        """Close the socket."""
        self.close()

    @override
    def is_closing(self) -> bool:
        """Tell whether the socket is closed."""
        return self.socket.fileno() < 0


class LegPoller:
    """Reads the sockets of all legs and sends what is due, until `close`.

    Raises:
        RuntimeError: There is no C compiler.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ffi, self._lib = _compiled()
        self._epoll = select.epoll()
        self._poller: _Object = self.ffi.new("bulk_poller *")
        self._poller.epoll = self._epoll.fileno()
        address = private_api.srtp_ffi.addressof(private_api.srtp_lib, "srtp_protect")
        self._poller.srtp_protect = self._pointer(
            "int (*)(void *, void *, int *)", private_api.srtp_ffi, address
        )
        self._transports: dict[int, SocketTransport] = {}
        self._legs: dict[int, _Object] = {}
        """By their sockets."""
        self._spoken: dict[Loop, tuple[_Object, list[_Object]]] = {}
        self._offset = 0.0
        self.align()
        self._timer: int = self._lib.bulk_timer(_POLL_NANOSECONDS)
        self._loop.add_reader(self._timer, self._tick)

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

    def moment(self, stamp: int) -> float:
        """Return the time of a kernel's stamp (ns), in seconds of `time.monotonic`."""
        return stamp / 1e9 - self._offset

    def align(self) -> None:
        """Hold the kernel's wall clock against the clock of the measurement, as both drift."""
        self._offset = min(time.time() - time.monotonic() for _ in range(100))

    def add(self, transport: SocketTransport, peer: LightPeer, loop: Loop) -> _Object:
        """Return a leg that is not talking yet, for as long as its socket is open."""
        number = transport.socket.fileno()
        leg = self.ffi.new("bulk_leg *")
        leg.fd, leg.dtx_frames, leg.payload_type = number, 1, peer.OPUS
        leg.ssrc, leg.timestamp, leg.sequence = peer.ssrc, peer.timestamp, peer.sequence
        session = peer.dtls._tx_srtp._srtp[0]
        leg.session = self._pointer("void *", private_api.srtp_ffi, session)
        leg.loop = self._said(loop)
        self._legs[number] = self._poller.by_file[number] = leg
        self._order()
        return leg

    def close(self) -> None:
        """Watch nothing any more."""
        self._loop.remove_reader(self._timer)
        os.close(self._timer)
        self._epoll.close()

    def _pointer(self, kind: str, ffi: Any, value: Any) -> Any:
        """Return another library's pointer as one of this."""
        return self.ffi.cast(kind, int(ffi.cast("uintptr_t", value)))

    def _said(self, loop: Loop) -> _Object:
        if loop not in self._spoken:
            frames = [self.ffi.from_buffer("uint8_t[]", one) for one in loop.packets]
            said = self.ffi.new("bulk_loop *", {"count": len(frames)})
            for index, frame in enumerate(frames):
                said.frames[index], said.sizes[index] = frame, len(frame)
            self._spoken[loop] = said, frames
        return self._spoken[loop][0]

    def _order(self) -> None:
        self._poller.count = len(self._legs)
        for index, leg in enumerate(self._legs.values()):
            self._poller.legs[index] = leg

    def _tick(self) -> None:
        poller = self._poller
        os.read(self._timer, 8)
        self._lib.bulk_wait(poller)
        while (number := self._lib.bulk_next(poller)) >= 0:
            transport = self._transports.get(number)
            if transport is None:
                continue
            if poller.size < 0:
                transport.read()
            else:
                transport.take(bytes(self.ffi.buffer(poller.datagram, poller.size)))
        self._lib.bulk_send_due(poller)

    def _forget(self, number: int) -> None:
        del self._transports[number]
        self._epoll.unregister(number)
        if self._legs.pop(number, None) is not None:
            self._poller.by_file[number] = self.ffi.NULL
            self._order()


def _compiled() -> tuple[Any, Any]:
    """Return the loop in C.

    Raises:
        RuntimeError: there is no compiler.
    """
    compiler = find_compiler()
    if not compiler:
        raise RuntimeError("many legs at once need a C compiler")
    ffi: Any = cffi.FFI()
    ffi.cdef(SOURCE.with_suffix(".h").read_text())
    with TemporaryDirectory() as folder:
        made = Path(folder) / "bulk_legs.so"
        command = [*compiler, "-std=gnu11", "-O2", "-fPIC", "-shared", "-o", str(made)]
        subprocess.run([*command, str(SOURCE)], check=True)
        return ffi, ffi.dlopen(str(made))


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
        self._offset: int | None = None
        """Timestamps that come here less those of the leg that is heard; found while all is calm."""
        self._loop = loop
        self._poller = poller
        self._punctual = 0
        """Packets of which it does not count how late they were sent."""
        transport, remote = peer.route()
        transport.socket.connect(remote)
        transport.remote = remote
        self._leg = poller.add(transport, peer, loop)
        self._leg.decoded = decoded
        self._leg.frame = number * 7 % PERIOD_FRAMES

    def start(self) -> None:
        """Begin to talk, at a moment of the 20 ms that other legs leave free."""
        due = time.monotonic() + self.number * _SPREAD % 1 * FRAME_SECONDS
        self._leg.due = round(1e9 * due)
        self._leg.talking = 1

    def stop(self) -> None:
        """Fall silent."""
        self._leg.talking = 0

    def resume(self, *, dtx: bool = False) -> None:
        """Talk again after `stop`, in the phase of before; nothing was sent meanwhile (DTX).

        Args:
            dtx: Whether it only sends what an encoder with DTX sends in silence.
        """
        leg = self._leg
        missed = max(0, math.ceil((time.monotonic() - leg.due / 1e9) / FRAME_SECONDS))
        leg.timestamp = (leg.timestamp + missed * FRAME_SAMPLES) & 0xFFFF_FFFF
        leg.due += round(missed * FRAME_SECONDS * 1e9)
        leg.dtx_frames = DTX_FRAMES if dtx else 1
        leg.talking = 1
        self._offset = None

    def begin_window(self, network: Impairment) -> None:
        """Forget what was measured; what is sent goes through this network from now on.

        Raises:
            ValueError: the network does more than lose packets.
        """
        if network.jitter:
            raise ValueError("many legs at once have no jitter")
        leg = self._leg
        leg.loss, leg.random = network.loss, network.seed
        leg.sent_count = leg.came_count = self._punctual = 0
        self.peer.arrivals.clear()

    def begin_lateness(self) -> None:
        """Forget how late packets were sent."""
        self._punctual = self._leg.sent_count

    @property
    def lateness(self) -> list[float]:
        """How late each packet was sent, in seconds."""
        return [(one.time - one.due) / 1e9 for one in self._noted_sent()[self._punctual :]]

    @property
    def onsets(self) -> Sequence[Departure]:
        """When the packets with an onset were sent."""
        return [
            Departure(one.time / 1e9, -1, one.timestamp)
            for one in self._noted_sent()
            if self._loop.is_onset(one.frame)
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
        return [Packet(one.time / 1e9, one.timestamp) for one in self._noted_sent()]

    def came(self) -> list[Packet]:
        """Return when each packet came, and its timestamp."""
        noted = self._leg.came[0 : self._leg.came_count]
        return [Packet(self._poller.moment(one.time), one.timestamp) for one in noted]

    def _noted_sent(self) -> list[_Object]:
        return list(self._leg.sent[0 : self._leg.sent_count])
