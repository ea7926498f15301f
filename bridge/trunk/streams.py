"""One TCP or TLS connection of SIP (RFC 3261 section 18), with keep-alives (RFC 5626 section 4.4.1)."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, cast

from typing_extensions import override

from bridge.sip.message.framing import KEEP_ALIVE, PONG, StreamError, StreamFramer

MAX_UNSENT: Final = 256 * 1024
"""Unsent bytes above which the connection is aborted and counted as `slow_reader`."""
USER_TIMEOUT_MS: Final = 20_000
"""How long sent bytes may stay unacknowledged before the connection counts as dead."""


class StreamOwner(Protocol):
    """Holds the connections."""

    def opened(self, stream: "SipStream") -> bool:
        """Register a new connection; False closes it."""

    def received(self, stream: "SipStream", message: bytes) -> None:
        """Handle one whole message."""

    def closed(self, stream: "SipStream") -> None:
        """Forget a closed connection."""

    def count_drop(self, reason: str) -> None:
        """Count a dropped message or connection."""


class SipStream(asyncio.Protocol):
    """A connection, ours or accepted."""

    def __init__(
        self, owner: StreamOwner, *, tls: bool, accepted: bool, now: Callable[[], float]
    ) -> None:
        self._owner = owner
        self._now = now
        self._framer = StreamFramer()
        self.transport: asyncio.Transport | None = None
        """The open connection; None when it is closed."""
        self.tls = tls
        self.accepted = accepted
        self.host = ""
        self.port = 0
        """The peer's."""
        self.local_host = ""
        self.local_port = 0
        self.opened_at = now()
        self.heard_at = self.opened_at
        """When data last arrived."""
        self.used_at = self.opened_at
        """When a message was last received or sent."""
        self.spoken = False
        """Whether a message has been received."""
        self.number = 0
        """Given by the owner."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        opened, peer = cast("asyncio.Transport", transport), transport.get_extra_info("peername")
        if peer is None:
            opened.abort()  # the peer has reset it already
            return
        self.transport = opened
        self.host, self.port = peer[:2]
        self.local_host, self.local_port = transport.get_extra_info("sockname")[:2]
        carrier = transport.get_extra_info("socket")
        with suppress(OSError, AttributeError):
            carrier.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            carrier.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        if not self._owner.opened(self):
            opened.abort()

    @override
    def data_received(self, data: bytes) -> None:
        self.heard_at = self._now()
        try:
            messages = self._framer.feed(data)
        except StreamError:
            self._owner.count_drop("malformed")
            self.abort()
            return
        if self._framer.pings:
            self._framer.pings = 0  # one pong answers them all
            self.keep_alive(PONG)
        for message in messages:
            if self.transport is None:
                return
            self.spoken, self.used_at = True, self.heard_at
            self._owner.received(self, message)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self.transport is not None:
            self.transport = None
            self._owner.closed(self)

    def send(self, data: bytes) -> bool:
        """Send a message; return False if the connection is closed, or aborted because the peer does not read."""
        if self.transport is None or self.transport.is_closing():
            return False
        if self.transport.get_write_buffer_size() > MAX_UNSENT:
            self._owner.count_drop("slow_reader")
            self.abort()
            return False
        self.transport.write(data)
        self.used_at = self._now()
        return True

    def keep_alive(self, data: bytes = KEEP_ALIVE) -> None:
        """Send a ping, or the answer to one; none while something else is being sent."""
        if self.transport is not None and not self.transport.get_write_buffer_size():
            self.transport.write(data)

    def close(self) -> None:
        """Close it once everything is sent."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close it at once."""
        if self.transport is not None:
            self.transport.abort()
