"""The open connections of the HTTP service: a limit, and a write timeout for those who do not read.

A client that does not read makes the process buffer its responses. Progress is what the kernel reports
as acknowledged, so one rule covers responses, files, event streams, tunnels and WebSockets, with and
without TLS.
"""

import asyncio
import socket
import struct
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

SWEEP_SECONDS: Final = 1.0
STALL_SECONDS: Final = 10.0
MIN_BYTES: Final = 8 * 1024
"""A reader with pending data that takes less in `STALL_SECONDS` is disconnected."""
MAX_ROOM: Final = 64
"""Unauthenticated connections closed at once to make room: finding them takes a while."""
_ACKNOWLEDGED_AT: Final = 120
"""Offset of `tcpi_bytes_acked` in Linux's `struct tcp_info` (since 4.1)."""
_TCP_INFO_BYTES: Final = 128
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: closing drops unsent data, in the kernel too."""


@dataclass(slots=True)
class _Connection:
    address: str
    unauthenticated: bool
    """No valid key has been used on it yet."""
    stalled_at: float | None = None
    """Since when data is pending, or when enough of it was last acknowledged."""
    acknowledged: int = 0
    """Bytes acknowledged by then."""


class Connections:
    """Every open connection of one node's HTTP service, the oldest first."""

    def __init__(
        self,
        *,
        limit: int,
        set_open: Callable[[int], None],
        count_cut: Callable[[str], None],
        trusted: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`trusted` says whether an address is a reverse proxy of ours, which carries many clients."""
        self._limit = limit
        self._set_open = set_open
        self.count_cut = count_cut
        """Counts connections that are cut off or not accepted, by reason."""
        self._trusted = trusted
        self._open: dict[asyncio.Transport, _Connection] = {}

    def __len__(self) -> int:
        return len(self._open)

    def make_room(self, under_way: int) -> bool:
        """Return whether one more connection may be accepted; closes the oldest unauthenticated ones.

        `under_way` counts accepted connections that are not added yet (TLS handshakes).
        """
        room = self._limit - under_way
        if len(self._open) >= room:
            self._forget_closed()
        if (excess := len(self._open) + 1 - room) > 0:
            for transport in self._unauthenticated(max(excess, min(MAX_ROOM, self._limit // 8))):
                self._cut(transport, "no_room")
        return len(self._open) < room

    def add(self, transport: asyncio.Transport, address: str) -> None:
        """Add a connection."""
        self._open[transport] = _Connection(address, unauthenticated=not self._trusted(address))

    def mark_authenticated(self, transport: asyncio.Transport | None) -> None:
        """Note that a valid key was used on a connection, which is then kept."""
        if transport is not None and (known := self._open.get(transport)) is not None:
            known.unauthenticated = False

    async def run(self) -> None:
        """Disconnect clients that do not read, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep(loop.time())

    def sweep(self, now: float) -> None:
        """Forget closed connections, and disconnect those that read too little."""
        self._forget_closed()
        stalled = [t for t, known in self._open.items() if self._stalled(t, known, now)]
        for transport in stalled:
            self._cut(transport, "slow_reader")
        self._set_open(len(self._open))

    def _forget_closed(self) -> None:
        # One that is closing with data pending still counts.
        closed = [t for t in self._open if t.is_closing() and not t.get_write_buffer_size()]
        for transport in closed:
            del self._open[transport]

    def _stalled(self, transport: asyncio.Transport, known: _Connection, now: float) -> bool:
        if not transport.get_write_buffer_size():
            known.stalled_at = None
            return False
        if known.stalled_at is None:
            known.stalled_at, known.acknowledged = now, _acknowledged(transport)
        elif now - known.stalled_at >= STALL_SECONDS:
            acknowledged = _acknowledged(transport)
            if acknowledged - known.acknowledged < MIN_BYTES:
                return True
            known.stalled_at, known.acknowledged = now, acknowledged
        return False

    def _unauthenticated(self, count: int) -> list[asyncio.Transport]:
        """Choose connections to close: the oldest of whichever address has the most."""
        by_address: dict[str, deque[asyncio.Transport]] = {}
        for transport, known in self._open.items():
            if known.unauthenticated:
                by_address.setdefault(known.address, deque()).append(transport)
        left = Counter({address: len(found) for address, found in by_address.items()})
        chosen: list[asyncio.Transport] = []
        while len(chosen) < count and left:
            address, most = left.most_common(1)[0]
            chosen.append(by_address[address].popleft())
            left[address] = most - 1
            if most == 1:
                del left[address]
        return chosen

    def _cut(self, transport: asyncio.Transport, reason: str) -> None:
        carrier = transport.get_extra_info("socket")
        if carrier is not None and carrier.fileno() >= 0:
            carrier.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
        # Its descriptor may be reused at once.
        del self._open[transport]
        self.count_cut(reason)


def _acknowledged(transport: asyncio.Transport) -> int:
    """Return the bytes acknowledged so far, or minus those pending where the kernel does not say."""
    carrier = transport.get_extra_info("socket")
    if carrier is not None and hasattr(socket, "TCP_INFO") and carrier.family != socket.AF_UNIX:
        with suppress(OSError):
            info = carrier.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
            if len(info) == _TCP_INFO_BYTES:
                return int(struct.unpack_from("=Q", info, _ACKNOWLEDGED_AT)[0])
    return -transport.get_write_buffer_size()
