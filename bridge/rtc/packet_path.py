"""The compiled packet path of a node: receives on all media sockets, and hands on what Python must look at.

It is written in C (packet_path.c, packet_stream.c), which `packet_path_build` compiles where there is a compiler. What it does with
a datagram is decided by the offloads of its transport; without one, datagrams come here untouched.
"""

import asyncio
import socket
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final

from bridge.audio.codec.opus import Opus
from bridge.metrics.media_thread import PathFigures
from bridge.rtc import private_api
from bridge.rtc.limits import Address
from bridge.rtc.packet_path_library import Library
from bridge.rtc.packet_poller import BY_THE_LOOP, Poller, Scheduling
from bridge.rtc.transport_offload import Compiled, TransportOffload
from bridge.rtc.udp_socket import UdpSocket, after_backlog
from bridge.wire.crash_marks import CrashMarks

_NATIVE: Final = sys.byteorder
_MAX_CACHED: Final = 1024
"""Addresses of senders, converted."""


class PacketPath:
    """Receives on every media socket of a node.

    Args:
        library: The compiled functions.
        opus: Whose functions decode and encode.
        clock: Monotonic seconds.
        scheduling: Who polls the sockets.
        marks: Where it notes whose datagram it processes.
    """

    def __init__(
        self,
        library: Library,
        opus: Opus,
        *,
        clock: Callable[[], float] = time.monotonic,
        scheduling: Scheduling = BY_THE_LOOP,
        marks: CrashMarks | None = None,
    ) -> None:
        ffi: Any = library.ffi
        self._ffi, self._lib = ffi, library.lib
        records = ffi.new("packet_sink_record *"), ffi.new("packet_source_record *")
        self._compiled = Compiled(ffi, library.lib, _libraries(library, opus), *records)
        self._clock = clock
        self._marks = CrashMarks() if marks is None else marks
        self.scheduling = scheduling
        self._addresses: dict[bytes, Address] = {}
        self._ids = count(1)
        self._sockets: dict[int, UdpSocket] = {}
        self._transports: dict[int, TransportOffload] = {}
        self._figures = PathFigures()
        self.poller: Poller | None = None
        """Between the first socket and `close`."""
        self._loop: asyncio.AbstractEventLoop | None = None

    def transport(
        self,
        *,
        receive: Callable[[bytes, float], None],
        discarded: dict[str, int],
        limit: int,
        secured: bool = True,
    ) -> TransportOffload:
        """Return the offloads of a new transport; close them with it.

        Args:
            receive: Takes unprotected RTP packets that are not as expected.
            discarded: Counts packets that cannot be sent as `unsendable`.
            limit: Packets that the peer may send in a second.
            secured: Whether packets are SRTP.
        """
        offload = TransportOffload(
            self._compiled,
            number=next(self._ids),
            receive=receive,
            discarded=discarded,
            limit=limit,
            secured=secured,
            path=self,
        )
        self._transports[offload.number] = offload
        return offload

    def figures(self) -> PathFigures:
        """Return what has been done, and how the sockets are served."""
        return self._figures if self.poller is None else self.poller.figures()

    def close(self) -> None:
        """Stop polling: sockets that are open receive nothing any more. Safe to repeat."""
        poller = self.poller
        if poller is not None and self._loop is not None:
            self._figures = poller.figures()
            self._loop.remove_reader(poller.fileno)
            self.poller = self._loop = None
            poller.close()

    def listen(
        self,
        sock: socket.socket,
        protocol: asyncio.DatagramProtocol,
        offload: TransportOffload,
        *,
        inherited: bool = False,
    ) -> UdpSocket:
        """Receive on a socket for a transport (`TransportOffload.listen`)."""

        def read(transport: UdpSocket) -> Callable[[], None]:
            poller, number = self._start(asyncio.get_running_loop()), next(self._ids)
            handle = poller.add(sock.fileno(), number, offload.handle)
            self._sockets[number] = transport

            def stop() -> None:
                del self._sockets[number]
                offload.leave_socket(sock.fileno())
                poller.remove(handle)

            return stop

        how = after_backlog(read, self._marks) if inherited else read
        return UdpSocket(sock, protocol, discarded=offload.discarded, read=how)

    def forget(self, number: int) -> None:
        """Give packets of a transport to nobody any more."""
        self._transports.pop(number, None)

    def _start(self, loop: asyncio.AbstractEventLoop) -> Poller:
        """Return the poller, which is made when the first socket is added."""
        if self.poller is None:
            self.poller = poller = Poller(
                self._ffi, self._lib, self.scheduling, marks=self._marks.address
            )
            self._loop = loop
            loop.add_reader(poller.fileno, self.poll)
        return self.poller

    def poll(self) -> None:
        """Take what the poller has left for Python, and let each go its way."""
        poller = self.poller
        if poller is None:
            return
        if self._clock is not time.monotonic:
            poller.set_clock(self._clock())
        try:
            self._poll(poller)
        finally:
            self._marks.end()  # which the poller has set to whose packet it gave last

    def _poll(self, poller: Poller) -> None:
        lib = self._lib
        poller.begin_turn()
        for item in poller.waiting():
            data = self._ffi.buffer(item.data, min(item.size, lib.PACKET_BUFFER))[:]
            if item.kind == lib.PACKET_DATAGRAM:
                if (receiver := self._sockets.get(item.socket)) is not None:
                    sender = self._sender(self._ffi.buffer(item.address, item.address_size)[:])
                    receiver.run(receiver.protocol.datagram_received, data, sender)
                continue
            offload = self._transports.get(item.transport)
            if offload is None:
                continue
            if item.kind == lib.PACKET_FRAMED:
                offload.run(offload.source.deliver_frame, data, item.position, item.at)
            else:
                offload.run(offload.receive, data, item.at)

    def waiting_frames(self, number: int) -> Iterator[tuple[bytes, int, float]]:
        """Take the frames of a transport that wait for Python."""
        if self.poller is not None:
            for item in self.poller.frames(number):
                yield self._ffi.buffer(item.data, item.size)[:], item.position, item.at

    def _sender(self, raw: bytes) -> Address:
        address = self._addresses.get(raw)
        if address is None:
            if len(self._addresses) >= _MAX_CACHED:
                self._addresses.clear()
            address = self._addresses[raw] = _parse_address(raw)
        return address


def _libraries(library: Library, opus: Opus) -> Any:  # noqa: ANN401  (cffi has no static type)
    """Return the functions of the loaded libsrtp and libopus by their addresses."""
    ffi: Any = library.ffi
    srtp_ffi, srtp_lib = private_api.srtp_ffi, private_api.srtp_lib
    found = ffi.new("packet_libraries *")
    for name in ("srtp_protect", "srtp_protect_rtcp", "srtp_unprotect", "srtp_unprotect_rtcp"):
        pointer = srtp_ffi.addressof(srtp_lib, name)
        _set(ffi, found, name, int(srtp_ffi.cast("uintptr_t", pointer)))
    for name in ("opus_decode", "opus_encode"):
        _set(ffi, found, name, opus.address(name))
    return found


def _set(ffi: Any, libraries: Any, name: str, address: int) -> None:  # noqa: ANN401
    field = dict(ffi.typeof("packet_libraries").fields)[name].type
    setattr(libraries, name, ffi.cast(field, address))


def _parse_address(raw: bytes) -> Address:
    """Return host and port of a `struct sockaddr_in` or `sockaddr_in6`; empty ones of any other."""
    family = int.from_bytes(raw[:2], _NATIVE) if len(raw) > 1 else 0
    port = int.from_bytes(raw[2:4], "big")
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, raw[4:8]), port
    if family == socket.AF_INET6:
        return socket.inet_ntop(socket.AF_INET6, raw[8:24]), port
    return "", 0
