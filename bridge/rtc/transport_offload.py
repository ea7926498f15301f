"""What the compiled packet path needs of one transport: the offloads of its source and sink, route and keys."""

import asyncio
import socket
import sys
from collections.abc import Callable, Iterable
from contextvars import copy_context
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from bridge.errors import LegError
from bridge.log import call_id
from bridge.rtc.limits import Address
from bridge.rtc.srtp import Srtp
from bridge.rtc.udp_socket import UdpSocket
from bridge.rtp.offload import SinkOffload, SourceOffload
from bridge.wire.crash_marks import mark_of

_NATIVE: Final = sys.byteorder


class Path(Protocol):
    """What polls the sockets."""

    def listen(
        self,
        sock: socket.socket,
        protocol: asyncio.DatagramProtocol,
        offload: "TransportOffload",
        *,
        inherited: bool = False,
    ) -> UdpSocket:
        """Receive on a socket for a transport (`TransportOffload.listen`)."""

    def waiting_frames(self, number: int) -> Iterable[tuple[bytes, int, float]]:
        """Take the frames of a transport that wait for Python, with their positions and times."""

    def forget(self, number: int) -> None:
        """Give packets of a transport to nobody any more."""


class Compiled(NamedTuple):
    """The compiled packet path, loaded; cffi has no static types for it."""

    ffi: Any
    lib: Any
    libraries: Any
    """`packet_libraries` in packet_path.h."""
    sink_record: Any
    """`packet_sink_record`, into which syncs copy; read before the next one."""
    source_record: Any
    """`packet_source_record`, likewise."""


class TransportOffload:
    """Both offloads of one transport, and the route and keys that they use (`rtp.offload.Offload`)."""

    def __init__(  # noqa: PLR0913  (all but one by keyword)
        self,
        compiled: Compiled,
        *,
        number: int,
        receive: Callable[[bytes, float], None],
        discarded: dict[str, int],
        limit: int,
        secured: bool,
        path: "Path",
    ) -> None:
        self._ffi, self._lib = ffi, lib = compiled.ffi, compiled.lib
        made = lib.packet_transport_new(compiled.libraries, number, limit, secured)
        if not made:
            raise LegError("there is no memory for a transport")
        self.handle = ffi.gc(made, lib.packet_transport_release)
        """`packet_transport` in packet_path.h."""
        self.number = number
        self._srtp: Srtp | None = None
        self.source = SourceOffload(
            ffi,
            lib,
            self.handle,
            compiled.source_record,
            partial(path.waiting_frames, number),
        )
        self.sink = SinkOffload(ffi, lib, self.handle, compiled.sink_record)
        self.receive = receive
        """Takes unprotected RTP packets that are not as expected."""
        self.run = copy_context().run
        """Calls what takes packets in the context in which the transport was made, as `UdpSocket.run`."""
        self.discarded = discarded
        self._path = path

    def listen(
        self,
        sock: socket.socket,
        protocol: asyncio.DatagramProtocol,
        *,
        inherited: bool = False,
    ) -> UdpSocket:
        """Receive on a bound UDP socket, which the returned transport owns; one that is `inherited` as `after_backlog` does.

        Raises:
            LegError: The system refuses to poll it; it stays open.
        """
        self._lib.packet_set_mark(self.handle, mark_of(call_id.get()))
        return self._path.listen(sock, protocol, self, inherited=inherited)

    def set_keys(self, srtp: Srtp | None) -> None:
        """Protect and unprotect by these keys from now on, which the packet path and Python share; None: plain RTP."""
        before, self._srtp = self._srtp, srtp  # which lives until the packet path has left it
        handles = (0, 0) if srtp is None else (srtp.receive_handle, srtp.send_handle)
        receive, send = (self._ffi.cast("void *", handle) for handle in handles)
        self._lib.packet_set_keys(self.handle, srtp is not None, receive, send)
        if srtp is not None:
            srtp.lock_by(self._protection)
        del before

    def _protection(self, operation: int, packet: int, size: int) -> Callable[[], int]:
        cast = self._ffi.cast
        arguments = cast("uint8_t *", packet), cast("int32_t *", size)
        return partial(self._lib.packet_srtp, self.handle, operation, *arguments)

    def set_route(self, fileno: int, address: Address | None) -> None:
        """Send from this socket to this address from now on, and take what comes from there; None: nowhere."""
        self.set_routes(fileno, address, address)

    def set_routes(self, fileno: int, target: Address | None, peer: Address | None) -> None:
        """Send from this socket to one address from now on, and take what comes from another; None: from nowhere."""
        address = b"" if target is None else pack_address(target)
        source = b"" if peer is None else pack_address(peer)
        fileno = -1 if target is None else fileno
        size = -1 if peer is None else len(source)
        self._lib.packet_set_route(self.handle, fileno, address, len(address), source, size)

    def set_packed_route(self, fileno: int, address: bytes) -> None:
        """Do as `set_route` with a `struct sockaddr`, or none for a socket that is connected."""
        given = address, len(address)
        self._lib.packet_set_route(self.handle, fileno, *given, *given)

    def leave_socket(self, fileno: int) -> None:
        """Send nowhere if this was the socket in use, which is about to be closed."""
        self._lib.packet_leave_socket(self.handle, fileno)

    @property
    def alive_at(self) -> float:
        """When anything last came that proves the peer alive (monotonic seconds)."""
        at: float = self._lib.packet_alive_at(self.handle)
        return at

    @alive_at.setter
    def alive_at(self, now: float) -> None:
        self._lib.packet_set_alive_at(self.handle, now)

    def admit(self, now: float) -> bool:
        """Count an authentic packet (`demux.Arrivals.admit`)."""
        return bool(self._lib.packet_admit(self.handle, now))

    def count_unsendable(self) -> None:
        """Count the packets that could not be sent since this was last called."""
        self.discarded["unsendable"] += self._lib.packet_take_unsendable(self.handle)

    def close(self) -> None:
        """Leave the route and the keys; the offloads must have ended, or end unused. Safe to repeat."""
        self.set_route(-1, None)
        self._lib.packet_set_keys(self.handle, 1, self._ffi.NULL, self._ffi.NULL)
        self._srtp = None
        self.count_unsendable()
        self._path.forget(self.number)


def pack_address(address: Address) -> bytes:
    """Return host and port as a `struct sockaddr_in` or `sockaddr_in6`, without a scope."""
    host, port = address
    six = ":" in host
    family = socket.AF_INET6 if six else socket.AF_INET
    start = int(family).to_bytes(2, _NATIVE) + port.to_bytes(2, "big")
    raw = socket.inet_pton(family, host)
    return start + bytes(4) + raw + bytes(4) if six else start + raw + bytes(8)
