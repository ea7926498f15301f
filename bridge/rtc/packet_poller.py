"""The poller of the compiled packet path: its sockets, its thread, and what waits for Python."""

import asyncio
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from bridge.errors import LegError
from bridge.metrics.media_thread import REASONS, SCHEDULING, PathFigures
from bridge.rtc.packet_path_library import Library


class Scheduling(NamedTuple):
    """How the packet path is run."""

    thread: bool = False
    """By a thread of its own, which needs no interpreter; else by the event loop."""
    tick_ms: int = 0
    """How long the thread lets packets gather after it has processed some."""
    realtime: bool = False
    """Whether the thread asks for SCHED_FIFO."""


BY_THE_LOOP: Final = Scheduling()


class Poller:
    """Reads the sockets of a node, in a thread or when Python has a turn; cffi has no static types for it."""

    def __init__(self, ffi: Any, lib: Any, scheduling: Scheduling, *, marks: int = 0) -> None:  # noqa: ANN401
        """Make it, with its thread if that is wanted; `marks` is the address of `CrashMarks`, 0 for none.

        Raises:
            LegError: the system refuses either.
        """
        self._ffi, self._lib, self._scheduling = ffi, lib, scheduling
        self._handle = handle = lib.packet_poller_new()
        if not handle:
            raise LegError("the system has no epoll instance left")
        # Also when the interpreter exits without `close`: the thread must not outlive what it uses.
        self._release = weakref.finalize(self, _free, lib, handle, os.getpid())
        self._open = True
        if marks:
            lib.packet_poller_set_marks(handle, ffi.cast("int64_t *", marks))
        if scheduling.thread and (
            error := lib.packet_poller_start(handle, 1000 * scheduling.tick_ms, scheduling.realtime)
        ):
            self.close()
            raise LegError(f"the media thread cannot be started: {os.strerror(error)}")
        self.fileno: int = lib.packet_poller_fd(handle)
        """A descriptor that is readable while a turn has something to do."""

    def close(self) -> None:
        """Stop the thread and forget the sockets; safe to repeat."""
        self._open = False
        self._release()

    def add(self, fileno: int, number: int, transport: object) -> object:
        """Read a socket for a transport; return its handle.

        Raises:
            LegError: the system refuses.
        """
        handle: object = self._lib.packet_socket_add(self._handle, fileno, number, transport)
        if not handle:
            raise LegError("a media socket cannot be polled")
        return handle

    def remove(self, handle: object) -> None:
        """Leave a socket, which may be closed then; nothing of it is given any more."""
        if self._open:
            self._lib.packet_socket_remove(self._handle, handle)

    def begin_turn(self) -> None:
        """Begin a turn of Python's; without a thread, read a datagram of each socket."""
        self._lib.packet_turn(self._handle)

    def waiting(self) -> Iterator[Any]:
        """Yield what Python has to look at (`packet_item`), each until the next is asked for.

        That is at most one datagram of each socket a turn; `fileno` stays readable while more waits.
        """
        while self._open and (item := self._lib.packet_next(self._handle)):
            yield item

    def frames(self, transport: int) -> Iterator[Any]:
        """Take the frames of a transport that wait for Python."""
        while self._open and (item := self._lib.packet_next_frame(self._handle, transport)):
            yield item

    def set_clock(self, now: float) -> None:
        """Process datagrams at this time from now on, instead of the machine's."""
        self._lib.packet_poller_set_clock(self._handle, now)

    def wait(self) -> None:
        """Wait until the thread, if there is one, has processed all that lay in the sockets."""
        self._lib.packet_poller_wait(self._handle)

    def figures(self) -> PathFigures:
        """Return what has been done, and how the sockets are served."""
        counted: Any = self._ffi.new("packet_counters *")
        self._lib.packet_poller_counters(self._handle, counted)
        ran, waited = scheduled(counted.thread)
        return PathFigures(
            scheduling=SCHEDULING[1 + counted.scheduling] if counted.thread else SCHEDULING[0],
            tick_seconds=self._scheduling.tick_ms / 1000,
            rounds=counted.rounds,
            processed=counted.processed,
            left=dict(zip(REASONS, counted.left, strict=True)),
            dropped=counted.dropped,
            ring_bytes=counted.waiting,
            max_ring_bytes=counted.most,
            ran_seconds=ran,
            waited_seconds=waited,
            thread=counted.thread,
        )


def _free(lib: Any, handle: object, maker: int) -> None:  # noqa: ANN401
    """Free a poller; in a forked process, which has no such thread and shares its descriptors, leave it."""
    if os.getpid() == maker:
        lib.packet_poller_free(handle)


async def try_thread(library: Library, wanted: Scheduling) -> str:
    """Start a media thread for a moment; return how the system schedules it, one of `SCHEDULING`.

    Raises:
        LegError: it cannot be started.
    """
    poller = Poller(library.ffi, library.lib, wanted)
    try:
        await asyncio.to_thread(poller.wait)
        return poller.figures().scheduling
    finally:
        poller.close()


def scheduled(thread: int) -> tuple[float, float]:
    """Return the seconds that a thread of this process ran, and that it was ready to run and had no core (proc(5)).

    0 where the kernel does not tell.
    """
    try:
        text = Path(f"/proc/self/task/{thread}/schedstat").read_text("ascii")
        ran, waited, _ = map(int, text.split())
    except (OSError, ValueError):
        return 0.0, 0.0
    return ran / 1e9, waited / 1e9
