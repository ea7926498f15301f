"""A node's pipes to its supervisor: orders and the roster come in, heartbeats and reports go out."""

import asyncio
import io
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from bridge.errors import RemoteProtocolError, SetupError
from bridge.wire import supervision
from bridge.wire.supervision import (
    BEAT,
    HEARTBEAT_SECONDS,
    MAX_LINE,
    Accept,
    BeginDrain,
    Calls,
    FromNode,
    HandOver,
    Prepare,
    Roster,
    Slot,
    Stop,
)

log = logging.getLogger(__name__)

READ_BYTES: Final = 64 * 1024


class Supervision:
    """The link to the supervisor; `run` it for as long as the node lives."""

    def __init__(self, *, orders: int, reports: int) -> None:
        """`orders` and `reports` are file descriptors; the latter may be -1 for none."""
        self.on_roster: Callable[[Roster], None] = lambda _roster: None
        self.on_accept: Callable[[Accept], None] = lambda _accept: None
        self.on_drain: Callable[[float | None, str], None] = lambda _seconds, _reason: None
        self.on_handover: Callable[[int], None] = lambda _node: None
        self.on_stop: Callable[[], None] = lambda: None
        """Called for `Stop`, and once the supervisor is gone."""
        self._orders = orders
        self._reports = reports
        self._line = b""
        self._reported: Calls | None = None

    async def run(self) -> None:
        """Take orders until the supervisor is gone."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        os.set_blocking(self._orders, False)
        loop.add_reader(self._orders, self._read, ended)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._orders)
        log.warning("supervisor.lost")
        self.on_stop()

    async def send_heartbeats(self, calls: Callable[[], Calls]) -> None:
        """Send a heartbeat twice per `HEARTBEAT_SECONDS`, and the calls when they change, until cancelled."""
        while True:
            self._write(BEAT)
            if (now := calls()) != self._reported:
                self._reported = now
                self.report(now)
            await asyncio.sleep(HEARTBEAT_SECONDS / 2)

    def report(self, message: FromNode) -> None:
        """Send a message; dropped while the supervisor reads nothing."""
        self._write(supervision.serialize(message))

    def _write(self, line: bytes) -> None:
        # Nobody needs what is in a pipe that is full or closed.
        if self._reports >= 0:
            with suppress(BlockingIOError, BrokenPipeError):
                os.write(self._reports, line)

    def _read(self, ended: asyncio.Event) -> None:
        try:
            found = os.read(self._orders, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # the other end was killed
            found = b""
        if not found:
            ended.set()
            return
        *lines, self._line = (self._line + found).split(b"\n")
        self._line = self._line[-MAX_LINE:]
        for line in filter(None, lines):
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            message = supervision.to_node(line)
        except RemoteProtocolError as error:
            log.error("supervisor.bad_message", extra={"error": str(error)})
            return
        match message:
            case Roster():
                self.on_roster(message)
            case Accept():
                self.on_accept(message)
            case BeginDrain(seconds=seconds, reason=reason):
                self.on_drain(seconds, reason)
            case HandOver(node=node):
                self.on_handover(node)
            case Stop():
                self.on_stop()


def read_order() -> Prepare | Slot:
    """Read from standard input, which stays open, what this process is to be.

    Raises:
        SetupError: it is nothing, or of a version that this one does not understand.
    """
    # Unbuffered: what follows is for `Supervision`.
    line = io.FileIO(sys.stdin.fileno(), closefd=False).readline(MAX_LINE)
    try:
        order = supervision.to_node(line)
    except RemoteProtocolError as error:
        raise SetupError(str(error)) from error
    if not isinstance(order, Prepare | Slot):
        raise SetupError("the first message of the supervisor is no slot")
    return order
