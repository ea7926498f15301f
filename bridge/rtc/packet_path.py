"""The compiled packet path of a node: receives on all media sockets, and hands on what Python must look at.

It is one C file (packet_path.c), which `packet_path_build` compiles where there is a compiler. What it does with
a datagram is decided by the leases of its transport; without one, datagrams come here untouched.
"""

import asyncio
import socket
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Any, Final

from bridge.audio.codec.opus import Opus
from bridge.errors import LegError
from bridge.rtc import private_api
from bridge.rtc.limits import Address
from bridge.rtc.packet_leases import TransportLeases
from bridge.rtc.packet_path_library import Library
from bridge.rtc.packet_socket import PacketSocket

_NATIVE: Final = sys.byteorder
_MAX_CACHED: Final = 1024
"""Addresses of senders, converted."""


class PacketPath:
    """Polls every media socket of a node from one reader of the event loop.

    Args:
        library: The compiled functions.
        opus: Whose functions decode and encode.
        clock: Monotonic seconds.
    """

    def __init__(
        self, library: Library, opus: Opus, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ffi: Any = library.ffi
        self._lib = library.lib
        self._libraries = _libraries(library, opus)
        # -1: each datagram is processed at its own time, which is that of `time.monotonic`.
        self._now: Callable[[], float] = (lambda: -1.0) if clock is time.monotonic else clock
        self._clock = clock
        event: Any = self._ffi.new("packet_event *")
        self._event = event
        self._datagram = self._ffi.buffer(event.datagram)
        self._plain = self._ffi.buffer(event.plain)
        self._pcm = self._ffi.buffer(event.pcm, 2 * self._lib.PACKET_FRAME)
        self._address = self._ffi.buffer(event.address)
        self._addresses: dict[bytes, Address] = {}
        self._ids = count(1)
        self._sockets: dict[int, PacketSocket] = {}
        self._transports: dict[int, TransportLeases] = {}
        self._poller: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def transport(
        self, *, receive: Callable[[bytes, float], None], discarded: dict[str, int], limit: int
    ) -> TransportLeases:
        """Return the leases of a new transport; close them with it.

        Args:
            receive: Takes unprotected RTP packets that are not as expected.
            discarded: Counts packets that cannot be sent as `unsendable`.
            limit: Packets that the peer may send in a second.
        """
        leases = TransportLeases(
            self._ffi,
            self._lib,
            number=next(self._ids),
            libraries=self._libraries,
            receive=receive,
            discarded=discarded,
            limit=limit,
            listen=self._listen,
            on_closed=lambda closed: self._transports.pop(closed.state.id, None),
        )
        self._transports[leases.state.id] = leases
        return leases

    def close(self) -> None:
        """Stop polling: sockets that are open receive nothing any more. Safe to repeat."""
        if self._poller is not None and self._loop is not None:
            self._loop.remove_reader(self._lib.packet_poller_fd(self._poller))
            self._lib.packet_poller_free(self._poller)
            self._poller = self._loop = None

    def _listen(
        self, sock: socket.socket, protocol: asyncio.DatagramProtocol, leases: TransportLeases
    ) -> PacketSocket:
        loop = asyncio.get_running_loop()
        number = next(self._ids)
        try:
            poller = self._start(loop)
            handle = self._lib.packet_socket_add(poller, sock.fileno(), number, leases.state)
            if not handle:
                raise LegError("a media socket cannot be polled")
        except LegError:
            sock.close()
            raise

        def remove() -> None:
            del self._sockets[number]
            leases.leave_socket(sock.fileno())
            if self._poller is poller:  # otherwise it was freed, and the handle with it
                self._lib.packet_socket_remove(poller, handle)

        transport = PacketSocket(
            sock, protocol, loop=loop, discarded=leases.discarded, remove=remove
        )
        self._sockets[number] = transport
        protocol.connection_made(transport)
        return transport

    def _start(self, loop: asyncio.AbstractEventLoop) -> Any:  # noqa: ANN401  (cffi has no static type)
        """Return the poller, which is made when the first socket is added."""
        if self._poller is not None:
            return self._poller
        poller = self._lib.packet_poller_new()
        if not poller:
            raise LegError("the system has no epoll instance left")
        self._poller, self._loop = poller, loop
        loop.add_reader(self._lib.packet_poller_fd(poller), self._poll)
        return poller

    def _poll(self) -> None:
        lib, event, poll = self._lib, self._event, self._lib.packet_poll
        # What is called may close the path.
        while (poller := self._poller) is not None and (found := poll(poller, self._now(), event)):
            if found == lib.PACKET_DATAGRAM:
                data = self._datagram[: event.size]
                if (receiver := self._sockets.get(event.socket)) is not None:
                    receiver.run(receiver.protocol.datagram_received, data, self._sender())
                continue
            leases = self._transports.get(event.transport)
            if leases is None:
                continue
            run, source = leases.run, leases.source
            if found == lib.PACKET_FRAMED:
                run(source.deliver_frame, self._pcm[:], event.position, self._clock())
            else:
                run(leases.receive, self._plain[: event.size], self._clock())

    def _sender(self) -> Address:
        """Return the sender of the event's datagram."""
        raw = self._address[: self._event.address_size]
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
    for name in ("srtp_protect", "srtp_unprotect"):
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
