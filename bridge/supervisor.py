"""The supervisor of several nodes: opens the listening sockets, starts and restarts the nodes.

All nodes accept from the same queue, so a busy node accepts less (with SO_REUSEPORT the kernel would
also distribute connections to a busy or dying node). Nodes are new interpreters instead of forks, so
that no thread or lock is copied in mid-state. A node reads its slot from standard input, which keeps
secrets off the command line; the pipe stays open, and its end tells the node that the supervisor is
gone. Over a second pipe each node sends heartbeats; a stuck node is killed and restarted.
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
from bridge.net.listener import open_listeners
from bridge.settings.model import Settings, port_range

log = logging.getLogger(__name__)

NODE_FLAG = "--node"
CANNOT_START = 2
"""Exit code of a process with invalid settings or missing requirements."""
FIRST_DELAY = 0.25
MAX_DELAY = 15.0
"""Bounds of the restart delay in seconds, which doubles with each early failure."""
MAX_FAILED_STARTS = 3
"""Failed starts of a node, while none has ever been alive, after which the bridge gives up."""
HEALTHY_SECONDS = 30.0
"""A node that ran this long resets its restart delay."""
STOP_SECONDS = 10.0
"""How long stopping nodes may take before they are killed."""


class NodeSlot(msgspec.Struct, frozen=True, kw_only=True):
    """The place of one node among several, and its resources."""

    index: int
    count: int
    listeners: list[int]
    """File descriptors of the listening sockets that all nodes share."""
    core: int | None
    """The CPU to run on; None for any."""
    settings: Settings
    pipe: int = -1
    """File descriptor for heartbeats; -1 for none."""
    stuck: int = 0
    """Previous processes killed because they were stuck."""
    lost: int = 0
    """Previous processes lost for other reasons."""


def node_count(settings: Settings) -> int:
    """Return the number of nodes: 0 in the settings means one per usable CPU."""
    return settings.nodes or len(_cores()) or 1


def read_slot() -> NodeSlot:
    """Read this node's slot from standard input, which stays open."""
    return msgspec.json.decode(sys.stdin.buffer.readline(), type=NodeSlot)


async def watch(stop: asyncio.Event) -> None:
    """Set `stop` once the supervisor is gone."""
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
        SetupError: A socket cannot be opened, the data folder is in use, or a node cannot start.
    """
    count = node_count(settings)
    ports = port_range(settings.rtc.ports)
    if len(ports) < count:
        raise SettingsError(f"rtc.ports: {len(ports)} ports are too few for {count} nodes")
    folder = Path(settings.data.dir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    host, port = settings.http.host, settings.http.port
    with _locked(folder), contextlib.ExitStack() as sockets:
        listeners = [sockets.enter_context(listener) for listener in open_listeners(host, port)]
        directory = sockets.enter_context(contextlib.closing(DirectoryFile(folder)))
        directory.end_live()
        slots = assign_slots(settings, count, [listener.fileno() for listener in listeners])
        asyncio.run(_Supervisor(slots, directory).run())


def assign_slots(settings: Settings, count: int, listeners: list[int]) -> list[NodeSlot]:
    """Divide the media ports among the nodes, and the CPUs if there are enough."""
    ports = port_range(settings.rtc.ports)
    cores = _cores()
    slots = []
    for index in range(count):
        own = ports[index * len(ports) // count : (index + 1) * len(ports) // count]
        rtc = msgspec.structs.replace(settings.rtc, ports=f"{own[0]}-{own[-1]}")
        slot = NodeSlot(
            index=index,
            count=count,
            listeners=listeners,
            core=cores[index] if count <= len(cores) else None,
            settings=msgspec.structs.replace(settings, rtc=rtc),
        )
        slots.append(slot)
    return slots


class _End(NamedTuple):
    """How a node's process ended."""

    code: int
    stuck: bool
    """Killed because it was stuck."""


class _Supervisor:
    def __init__(self, slots: list[NodeSlot], directory: DirectoryFile) -> None:
        self._slots = slots
        self._directory = directory
        self._stopping = asyncio.Event()
        self._refused = False
        self._ever_alive = False
        """Whether any node has ever been alive."""

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        async with asyncio.TaskGroup() as nodes:
            for slot in self._slots:
                nodes.create_task(self._keep(slot))
        log.info("bridge.stopped")
        if self._refused:
            raise SetupError("a node could not start; its error is above")

    async def _keep(self, slot: NodeSlot) -> None:
        """Run one node and restart it until all are to stop."""
        loop = asyncio.get_running_loop()
        delay, failed_starts = FIRST_DELAY, 0
        while not self._stopping.is_set():
            began = loop.time()
            code, stuck = await self._run_once(slot)
            if self._stopping.is_set():
                return
            calls = self._directory.end_live(slot.index)
            log.error(
                "node.lost",
                extra={"node": slot.index, "code": code, "calls": calls, "stuck": stuck},
            )
            failed_starts += 1
            if code == CANNOT_START or (
                not self._ever_alive and failed_starts >= MAX_FAILED_STARTS
            ):
                self._refused = True
                self._stopping.set()
                return
            slot = msgspec.structs.replace(
                slot, stuck=slot.stuck + stuck, lost=slot.lost + (not stuck)
            )
            delay = FIRST_DELAY if loop.time() - began > HEALTHY_SECONDS else delay
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stopping.wait()
            delay = min(2 * delay, MAX_DELAY)

    async def _run_once(self, slot: NodeSlot) -> _End:
        """Run a node until it ends."""
        with pipe() as (ours, theirs):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bridge",
                NODE_FLAG,
                stdin=asyncio.subprocess.PIPE,
                pass_fds=(*slot.listeners, theirs),
            )
            if process.stdin is None:  # for the type checker
                raise SetupError("a node has no standard input")
            encoded = msgspec.json.encode(msgspec.structs.replace(slot, pipe=theirs))
            process.stdin.write(encoded + b"\n")
            async with asyncio.TaskGroup() as watchers:
                stopper = watchers.create_task(self._stop_when_asked(process))
                killer = watchers.create_task(self._kill_when_stuck(process, ours, slot.index))
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
            self._ever_alive = self._ever_alive or beaten
            stuck = heartbeat.check(beaten=beaten)
        log.error("node.stuck", extra={"node": node, "pid": process.pid})
        with contextlib.suppress(ProcessLookupError):
            process.kill()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the data folder: two bridges would take over each other's calls."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"data.dir: another bridge uses {folder.parent}; each needs its own"
            ) from None
        yield
    finally:
        os.close(descriptor)


def _cores() -> list[int]:
    affinity = getattr(os, "sched_getaffinity", None)
    return sorted(affinity(0)) if affinity else list(range(os.cpu_count() or 1))
