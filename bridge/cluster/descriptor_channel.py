"""A Unix connection for messages with file descriptors, and the claim of what is passed by one.

The event loop's own streams pass no descriptors. At most one message is under way in each direction.
"""

import asyncio
import fcntl
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from bridge.errors import RemoteProtocolError
from bridge.wire import handover
from bridge.wire.handover import MAX_DESCRIPTORS, Message, MessageReader, Offer

READ_BYTES: Final = 256 * 1024
CLOSE_ON_EXEC: Final = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
"""A child of the receiver must not get the descriptors; where the system cannot do that at once it is set after."""


class DescriptorChannel:
    """One end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        """Own a connected socket."""
        connection.settimeout(0)
        self._socket = connection
        self._reader = MessageReader()
        self._received: list[int] = []
        """Descriptors whose message is not complete."""
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def connect(cls, path: Path) -> "DescriptorChannel":
        """Connect to a node's socket.

        Raises:
            OSError: nobody listens there.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(0)
        try:
            await asyncio.get_running_loop().sock_connect(connection, os.fspath(path))
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    async def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send a message; the receiver gets duplicates of the descriptors.

        Raises:
            OSError: the other end has gone.
            RemoteProtocolError: it is too long, or has too many descriptors.
        """
        if len(descriptors) > MAX_DESCRIPTORS:
            raise RemoteProtocolError("too many descriptors for a handover")
        await self.send_bytes(handover.serialize(message), descriptors)

    async def send_bytes(self, text: bytes, descriptors: Sequence[int]) -> None:
        """Send bytes, the descriptors with the first of them; raises as `send`."""
        sent = 0
        if descriptors:
            while not sent:
                try:
                    sent = socket.send_fds(self._socket, [text], list(descriptors))
                except BlockingIOError:
                    await self._ready(self._loop.add_writer, self._loop.remove_writer)
        await self._loop.sock_sendall(self._socket, text[sent:])

    async def receive(self) -> tuple[Message, list[int]]:
        """Return the next message and its descriptors, which are the caller's to close.

        Raises:
            ConnectionError: the other end has gone.
            RemoteProtocolError: it sends something else.
        """
        while (message := self._reader.next()) is None:
            self._reader.feed(await self._receive_some())
        count = message.descriptors if isinstance(message, Offer) else 0
        if count != len(self._received):
            raise RemoteProtocolError("a handover message has lost its descriptors")
        descriptors, self._received = self._received, []
        return message, descriptors

    def close(self) -> None:
        """Close the connection, and the descriptors of a message that has not arrived whole."""
        self._socket.close()
        received, self._received = self._received, []
        close_all(received)

    async def _receive_some(self) -> bytes:
        while True:
            try:
                received, descriptors, flags, _ = socket.recv_fds(
                    self._socket, READ_BYTES, MAX_DESCRIPTORS, CLOSE_ON_EXEC
                )
            except BlockingIOError:
                await self._ready(self._loop.add_reader, self._loop.remove_reader)
                continue
            self._received += descriptors
            if flags & socket.MSG_CTRUNC or len(self._received) > MAX_DESCRIPTORS:
                raise RemoteProtocolError("a handover message has too many descriptors")
            for one in descriptors:
                fcntl.fcntl(one, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
            if not received:
                raise ConnectionResetError("the other node has closed the connection")
            return received

    async def _ready(
        self, add: Callable[..., object], remove: Callable[[socket.socket], object]
    ) -> None:
        """Wait until the socket can be read or written."""
        ready = self._loop.create_future()
        add(self._socket, _set, ready)
        try:
            await ready
        finally:
            remove(self._socket)


class Claim:
    """What decides who has an offered call: one byte in a pipe, which only one process can read."""

    def __init__(self, descriptor: int) -> None:
        """Own the pipe's read end."""
        self.descriptor = descriptor
        self._ours = False

    @classmethod
    def make(cls) -> "Claim":
        """Return one that nobody has taken."""
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        os.write(theirs, b"1")
        os.close(theirs)
        return cls(ours)

    def take(self) -> bool:
        """Take it; return whether this process has it, now or since before."""
        with suppress(OSError):
            self._ours = self._ours or os.read(self.descriptor, 1) == b"1"
        return self._ours

    def close(self) -> None:
        """Close this process's end."""
        close_all([self.descriptor])


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors."""
    for one in descriptors:
        with suppress(OSError):
            os.close(one)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
