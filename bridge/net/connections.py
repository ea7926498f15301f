"""The open connections of the HTTP service: a limit, and a write timeout for those who do not read.

Whoever asks and does not read makes the process hold the answer. Progress is what the kernel says
was acknowledged, so one rule covers plain answers, files, event streams, tunnels and WebSockets,
with TLS or without.
"""

import asyncio
import socket
import struct
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

SWEEP_SECONDS: Final = 1.0
STALL_SECONDS: Final = 10.0
MIN_BYTES: Final = 8 * 1024
"""A reader whom something waits for all of `STALL_SECONDS`, and who takes less in them, is cut off."""
MAX_ROOM: Final = 64
"""So many strangers' connections are cut at once when there is no room: finding them takes a while."""
_ACKNOWLEDGED_AT: Final = 120
"""Where `tcpi_bytes_acked` stands in Linux's `struct tcp_info` (since 4.1)."""
_TCP_INFO_BYTES: Final = 128
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: closing drops what was not sent, so that the kernel does not hold it either."""


class ConnectionCounters(Protocol):
    """Counts connections; `metrics.http.HttpMetrics` is one."""

    def set_connections(self, count: int) -> None:
        """Set how many connections are open."""

    def connection_cut(self, reason: str) -> None:
        """Count a connection that was cut off or not accepted."""


@dataclass(slots=True)
class _Connection:
    address: str
    stranger: bool
    """Nobody has shown a right key on it yet."""
    stalled_at: float | None = None
    """Since when something waits to be sent, or when enough of it was last taken."""
    acknowledged: int = 0
    """Bytes that had arrived at the other end by then."""


class Connections:
    """Every open connection of one node's HTTP service, the oldest first."""

    def __init__(
        self,
        *,
        limit: int,
        counters: ConnectionCounters,
        trusted: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Take the rules.

        Args:
            limit: how many connections there may be.
            counters: count them.
            trusted: whether an address is a reverse proxy of ours, which carries many clients.
        """
        self._limit = limit
        self._counters = counters
        self._trusted = trusted
        self._open: dict[asyncio.Transport, _Connection] = {}

    def __len__(self) -> int:
        return len(self._open)

    def make_room(self, under_way: int) -> bool:
        """Say whether one more connection may be accepted; strangers' oldest ones give way to it.

        Args:
            under_way: accepted connections that are not added yet (TLS handshakes).
        """
        excess = len(self._open) + under_way + 1 - self._limit
        if excess > 0:
            self._forget_closed()
            excess = len(self._open) + under_way + 1 - self._limit
        if excess > 0:
            for transport in self._strangers(max(excess, min(MAX_ROOM, self._limit // 8))):
                self._cut(transport, "no_room")
            excess = len(self._open) + under_way + 1 - self._limit
        return excess <= 0

    def add(self, transport: asyncio.Transport, address: str) -> None:
        """Look after a connection from now on."""
        self._open[transport] = _Connection(address, stranger=not self._trusted(address))

    def admit(self, transport: asyncio.Transport | None) -> None:
        """Note that somebody has shown a right key on a connection: it gives way to nobody."""
        if transport is not None and (known := self._open.get(transport)) is not None:
            known.stranger = False

    async def run(self) -> None:
        """Cut off those who do not read, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep(loop.time())

    def sweep(self, now: float) -> None:
        """Forget closed connections, and cut off those who take too little."""
        self._forget_closed()
        stalled = [t for t, known in self._open.items() if self._stalled(t, known, now)]
        for transport in stalled:
            self._cut(transport, "slow_reader")
        self._counters.set_connections(len(self._open))

    def _forget_closed(self) -> None:
        # One that is closing while something waits to be sent is still there.
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

    def _strangers(self, count: int) -> list[asyncio.Transport]:
        """Choose connections to cut: the oldest of whichever address has most of them."""
        by_address: dict[str, deque[asyncio.Transport]] = {}
        for transport, known in self._open.items():
            if known.stranger:
                by_address.setdefault(known.address, deque()).append(transport)
        left = Counter({address: len(found) for address, found in by_address.items()})
        chosen: list[asyncio.Transport] = []
        while len(chosen) < count and left:
            # All but the last of an address go before the next address loses one.
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
        # Its descriptor may be another connection's in a moment.
        del self._open[transport]
        self._counters.connection_cut(reason)


def _acknowledged(transport: asyncio.Transport) -> int:
    """Return how many bytes the other end has acknowledged so far.

    Where the kernel does not say, what waits is taken for it: it shrinks as the reader takes it.
    """
    carrier = transport.get_extra_info("socket")
    if carrier is None or not hasattr(socket, "TCP_INFO") or carrier.family == socket.AF_UNIX:
        return -transport.get_write_buffer_size()
    try:
        told = carrier.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        return -transport.get_write_buffer_size()
    if len(told) < _TCP_INFO_BYTES:
        return -transport.get_write_buffer_size()
    acknowledged: int = struct.unpack_from("=Q", told, _ACKNOWLEDGED_AT)[0]
    return acknowledged
