"""Several nodes as one bridge: the process that listens, starts them and starts them anew.

It opens the listening sockets and hands them to its children, so all accept from the same queue, and
a node that is busy simply accepts less (with SO_REUSEPORT the kernel would deal connections out
evenly, to a busy or dying node as well). The children are fresh interpreters, not forks: nothing of
this process, no loop, thread or lock in a library, is copied half-way, a restarted node is exactly like a
first one, and this process never loads what a node is made of. What a node must know comes over its
standard input; nothing secret stands on a command line. That pipe stays open: its end is how a
node learns that its supervisor is gone, however it went, and that it has to stop. Over a second pipe
each node's loop beats; a node that lives but beats no more is killed and started anew.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from bridge.errors import SettingsError, SetupError
from bridge.heartbeat import BEAT_SECONDS, Heartbeat, pipe, read
from bridge.net.directory import FOLDER, DirectoryFile
from bridge.node.listener import open_listeners
from bridge.settings.model import Settings, port_range

log = logging.getLogger(__name__)

NODE_FLAG = "--node"
CANNOT_START = 2
"""Exit code of a process that its settings, or what is missing, keep from starting."""
FIRST_DELAY = 0.25
MAX_DELAY = 15.0
"""Seconds before a node is started anew; doubled each time it fails at once."""
MAX_FAILED_STARTS = 3
"""So often a node may end before it was ever alive, while no other ever was; then all is given up."""
SOUND_SECONDS = 30.0
"""A node that has run this long has not failed at once."""
STOP_SECONDS = 10.0
"""How long nodes may take to end their calls before they are killed."""


class NodeSlot(msgspec.Struct, frozen=True, kw_only=True):
    """What one node is told: which one it is, and what is its own."""

    index: int
    count: int
    listeners: list[int]
    """File descriptors of the sockets that all nodes accept from."""
    core: int | None
    """The processor to stay on; None for any."""
    settings: Settings
    pipe: int = -1
    """File descriptor to beat on; -1 for none."""
    stuck: int = 0
    """How many of its forerunners were killed because they were stuck."""
    lost: int = 0
    """How many of them went for other reasons."""


def count_of(settings: Settings) -> int:
    """Say how many nodes there are to be: 0 in the settings is one for each usable processor."""
    return settings.nodes or len(_cores()) or 1


def read_seat() -> NodeSlot:
    """Read what the supervisor wrote to this process's standard input, which stays open."""
    return msgspec.json.decode(sys.stdin.buffer.readline(), type=NodeSlot)


async def watch(stop: asyncio.Event) -> None:
    """Wait until this node's supervisor is gone, then set `stop`."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    log.warning("supervisor.lost")
    stop.set()


def run(settings: Settings) -> None:
    """Run the nodes until told to stop.

    Raises:
        SetupError: the sockets cannot be opened, the data folder is in use, or a node cannot start.
    """
    count = count_of(settings)
    ports = port_range(settings.rtc.ports)
    if len(ports) < count:
        raise SettingsError(f"rtc.ports: {len(ports)} ports are too few for {count} nodes")
    folder = Path(settings.data.dir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    host, port = settings.http.host, settings.http.port
    with _held(folder), contextlib.ExitStack() as sockets:
        listeners = [sockets.enter_context(listener) for listener in open_listeners(host, port)]
        directory = sockets.enter_context(contextlib.closing(DirectoryFile(folder)))
        directory.end_live()
        seats = seats_of(settings, count, [listener.fileno() for listener in listeners])
        asyncio.run(_Supervisor(seats, directory).run())


def seats_of(settings: Settings, count: int, listeners: list[int]) -> list[NodeSlot]:
    """Share out the media ports, and the processors where there are enough."""
    ports = port_range(settings.rtc.ports)
    cores = _cores()
    seats = []
    for index in range(count):
        own = ports[index * len(ports) // count : (index + 1) * len(ports) // count]
        rtc = msgspec.structs.replace(settings.rtc, ports=f"{own[0]}-{own[-1]}")
        seat = NodeSlot(
            index=index,
            count=count,
            listeners=listeners,
            core=cores[index] if count <= len(cores) else None,
            settings=msgspec.structs.replace(settings, rtc=rtc),
        )
        seats.append(seat)
    return seats


class _End(NamedTuple):
    """How a node's process ended."""

    code: int
    stuck: bool
    """Whether it was killed because it was stuck."""


class _Supervisor:
    def __init__(self, seats: list[NodeSlot], directory: DirectoryFile) -> None:
        self._seats = seats
        self._directory = directory
        self._stopping = asyncio.Event()
        self._refused = False
        self._lived = False
        """Whether a node ever was alive."""

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        async with asyncio.TaskGroup() as nodes:
            for seat in self._seats:
                nodes.create_task(self._keep(seat))
        log.info("bridge.stopped")
        if self._refused:
            raise SetupError("a node could not start; it said why above")

    async def _keep(self, seat: NodeSlot) -> None:
        """Run one node, again and again, until all are to stop."""
        loop = asyncio.get_running_loop()
        delay, stillborn = FIRST_DELAY, 0
        while not self._stopping.is_set():
            began = loop.time()
            code, stuck = await self._run_once(seat)
            if self._stopping.is_set():
                return
            calls = self._directory.end_live(seat.index)
            log.error(
                "node.lost",
                extra={"node": seat.index, "code": code, "calls": calls, "stuck": stuck},
            )
            stillborn += 1
            if code == CANNOT_START or (not self._lived and stillborn >= MAX_FAILED_STARTS):
                self._refused = True
                self._stopping.set()
                return
            seat = msgspec.structs.replace(
                seat, stuck=seat.stuck + stuck, lost=seat.lost + (not stuck)
            )
            delay = FIRST_DELAY if loop.time() - began > SOUND_SECONDS else delay
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stopping.wait()
            delay = min(2 * delay, MAX_DELAY)

    async def _run_once(self, seat: NodeSlot) -> _End:
        """Run a node until it ends."""
        with pipe() as (ours, theirs):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bridge",
                NODE_FLAG,
                stdin=asyncio.subprocess.PIPE,
                pass_fds=(*seat.listeners, theirs),
            )
            if process.stdin is None:  # It was asked for; this tells the type checker.
                raise SetupError("a node has no standard input")
            told = msgspec.json.encode(msgspec.structs.replace(seat, pipe=theirs))
            process.stdin.write(told + b"\n")
            async with asyncio.TaskGroup() as watchers:
                stopper = watchers.create_task(self._stop_when_asked(process))
                killer = watchers.create_task(self._kill_when_stuck(process, ours, seat.index))
                code = await process.wait()
                stopper.cancel()
                stuck = killer.done()
                killer.cancel()
            process.stdin.close()
        return _End(code, stuck)

    async def _stop_when_asked(self, process: asyncio.subprocess.Process) -> None:
        await self._stopping.wait()
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
            await asyncio.sleep(STOP_SECONDS)
            log.error("node.killed", extra={"pid": process.pid})
            process.kill()

    async def _kill_when_stuck(
        self, process: asyncio.subprocess.Process, beats: int, node: int
    ) -> None:
        heartbeat = Heartbeat()
        stuck = False
        while not stuck:
            await asyncio.sleep(BEAT_SECONDS)
            beaten = read(beats)
            self._lived = self._lived or beaten
            stuck = heartbeat.look(beaten=beaten)
        log.error("node.stuck", extra={"node": node, "pid": process.pid})
        with contextlib.suppress(ProcessLookupError):
            process.kill()


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep other bridges out of the data folder: two would answer for each other's calls."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"data.dir: another bridge uses {folder.parent}; give each its own"
            ) from None
        yield
    finally:
        os.close(descriptor)


def _cores() -> list[int]:
    affinity = getattr(os, "sched_getaffinity", None)
    return sorted(affinity(0)) if affinity else list(range(os.cpu_count() or 1))
