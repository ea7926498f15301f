"""Keeps the nodes running: restarts those that are lost, drains them, replaces them by new ones."""

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from bridge.errors import SetupError
from bridge.supervisor.process import End, NodeProcess
from bridge.supervisor.slots import MachineSettings, Place, assign_places, node_count
from bridge.wire.supervision import Accept, Process, Roster, Slot

log = logging.getLogger(__name__)

CANNOT_START: Final = 2
"""Exit code of a process with invalid settings or missing requirements."""
FIRST_DELAY: Final = 0.25
MAX_DELAY: Final = 15.0
"""Bounds of the restart delay in seconds, which doubles with each early failure."""
MAX_FAILED_STARTS: Final = 3
"""Failed starts of a node, while none has ever been ready, after which the bridge gives up."""
HEALTHY_SECONDS: Final = 30.0
"""A node that ran this long resets its restart delay."""
MAX_LOST: Final = 256
"""Ended processes that rosters name."""
UPGRADE_SECONDS: Final = 60.0
"""How long the new nodes of an upgrade may take until they are ready."""


class UpgradeFailed(SetupError, code="upgrade_failed"):
    """The new nodes are not there, and the old ones go on."""


class NodeSettings(NamedTuple):
    """The settings of nodes."""

    read: MachineSettings
    text: msgspec.Raw
    """All of them, as JSON."""


@dataclass(slots=True, eq=False)
class _Keeper:
    """A node that is kept running."""

    place: Place
    settings: NodeSettings
    joined: bool
    """Whether it is one of the nodes; those of an upgrade are none before all are ready."""
    process: NodeProcess
    retired: bool = False
    """Whether it is not to be started anew."""
    stuck: int = 0
    lost: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it has ended for good."""


class Fleet:
    """The nodes of one machine."""

    def __init__(
        self,
        settings: NodeSettings,
        listeners: Sequence[int],
    ) -> None:
        """`listeners` are file descriptors of the sockets that all nodes share."""
        self.settings = settings
        """Those that new nodes are started with."""
        self._listeners = list(listeners)
        self._run = secrets.token_hex(8)
        self._keepers: list[_Keeper] = []
        self._lost: deque[Process] = deque(maxlen=MAX_LOST)
        self._roster = Roster(nodes=[])
        self._stopping = asyncio.Event()
        self._refused = False
        self._ever_ready = False
        self._upgrading = False
        self._tasks = asyncio.TaskGroup()

    @property
    def stopping(self) -> bool:
        """Whether all nodes are to end."""
        return self._stopping.is_set()

    def nodes(self) -> list[NodeProcess]:
        """Return the processes that run or are about to, those of an upgrade last."""
        return [keeper.process for keeper in self._keepers]

    async def run(self) -> None:
        """Start the nodes, and keep them until all have ended for good.

        Raises:
            SetupError: a node cannot start.
        """
        async with self._tasks:
            for place in assign_places(self.settings.read):
                self._add(place, joined=True)
            self._send_roster()
            for keeper in self._keepers:
                self._tasks.create_task(self._keep(keeper))
        log.info("bridge.stopped")
        if self._refused:
            raise SetupError("a node could not start; its error is above")

    def drain(self, seconds: float | None, reason: str) -> None:
        """Let all nodes drain, then end; 0 seconds ends the calls at once, None never does."""
        self._stopping.set()
        for keeper in self._keepers:
            keeper.retired = keeper.process.draining = True
        self._send_roster()  # before the orders: no node leaves new calls to another
        for keeper in self._keepers:
            keeper.process.drain(seconds, reason)

    def drain_node(self, process: NodeProcess, seconds: float | None) -> None:
        """Let one node drain; it is not started anew."""
        for keeper in self._keepers:
            if keeper.process is process:
                keeper.retired = True
                process.drain(seconds, "request")
        self._send_roster()

    def stop(self) -> None:
        """End all nodes at once."""
        self._stopping.set()
        for keeper in self._keepers:
            keeper.retired = True
            keeper.process.stop()

    async def upgrade(
        self, settings: NodeSettings, seconds: float | None, report: Callable[[str], None]
    ) -> list[NodeProcess]:
        """Start new nodes, and drain the old ones once they are ready; return the old ones.

        Raises:
            UpgradeFailed: the new ones do not get ready, or an upgrade is under way.
            SettingsError: there are too few ports or node numbers.
        """
        if self._upgrading or self.stopping:
            doing = "stopping" if self.stopping else "being upgraded already"
            raise UpgradeFailed(f"the bridge is {doing}")
        self._upgrading = True
        old = list(self._keepers)
        former, self.settings = self.settings, settings
        new: list[_Keeper] = []
        try:
            places = assign_places(settings.read, {keeper.place.node for keeper in old})
            report(f"starting {len(places)} new node{'s' * (len(places) > 1)}")
            new = [self._add(place, joined=False) for place in places]
            for keeper in new:
                self._tasks.create_task(self._keep(keeper))
            await self._wait_ready(new)
        except BaseException:
            self.settings = former
            for keeper in new:
                keeper.retired = True
                keeper.process.stop()
            raise
        finally:
            self._upgrading = False
        for keeper in new:
            keeper.joined = True
        for keeper in old:
            keeper.retired = True
        self._send_roster()
        for keeper in new:
            keeper.process.send(Accept(on=True))
        for keeper in old:
            keeper.process.send(Accept(on=False))
            keeper.process.drain(seconds, "upgrade")
        self._send_roster()
        log.info("bridge.upgraded", extra={"nodes": len(new)})
        return [keeper.process for keeper in old]

    async def _wait_ready(self, new: Sequence[_Keeper]) -> None:
        try:
            async with asyncio.timeout(UPGRADE_SECONDS):
                for keeper in new:
                    await keeper.process.settled.wait()
        except TimeoutError:
            raise UpgradeFailed(
                f"the new nodes were not ready within {UPGRADE_SECONDS:.0f} s; the old ones go on"
            ) from None
        if self.stopping or not all(keeper.process.ready for keeper in new):
            raise UpgradeFailed(
                "a new node ended before it was ready, its error is in the log; the old ones go on"
            )

    def _add(self, place: Place, *, joined: bool) -> _Keeper:
        process = NodeProcess(
            self._slot(place, self.settings, accepts=joined), on_draining=self._send_roster
        )
        keeper = _Keeper(place, self.settings, joined, process)
        self._keepers.append(keeper)
        return keeper

    def _slot(self, place: Place, settings: NodeSettings, *, accepts: bool) -> Slot:
        return Slot(
            node=place.node,
            boot=secrets.token_hex(8),
            run=self._run,
            count=node_count(settings.read),
            listeners=self._listeners,
            core=place.core,
            ports=place.ports,
            settings=settings.text,
            roster=self._roster,
            accepts=accepts,
        )

    async def _keep(self, keeper: _Keeper) -> None:
        """Run one node and restart it until it is to end."""
        loop = asyncio.get_running_loop()
        delay, failed_starts = FIRST_DELAY, 0
        try:
            while True:
                began = loop.time()
                end = await self._run_once(keeper)
                if self._is_over(keeper, end):
                    return
                failed_starts += 1
                if not self._ever_ready and (
                    end.code == CANNOT_START or failed_starts >= MAX_FAILED_STARTS
                ):
                    self._refused = True
                    self.stop()
                    return
                delay = FIRST_DELAY if loop.time() - began > HEALTHY_SECONDS else delay
                await self._pause(delay)
                delay = min(2 * delay, MAX_DELAY)
                if keeper.retired:
                    return
        finally:
            self._keepers.remove(keeper)
            keeper.gone.set()
            self._send_roster()

    async def _run_once(self, keeper: _Keeper) -> End:
        """Run a node until it ends."""
        process = keeper.process
        ready = self._tasks.create_task(self._note_ready(process))
        try:
            end = await process.run()
        except OSError as error:  # no memory or processes left: the other nodes go on
            log.error("node.cannot_start", extra={"error": error.strerror})
            end = End(1, stuck=False, drained=False)
        await ready
        self._lost.append(Process(process.node, process.boot))
        return end

    async def _note_ready(self, process: NodeProcess) -> None:
        await process.settled.wait()
        self._ever_ready = self._ever_ready or process.ready

    def _is_over(self, keeper: _Keeper, end: End) -> bool:
        """Note how a node has ended; return whether for good."""
        process = keeper.process
        # Its number may be another than its slot's, and is not known before it is ready.
        who = {"node": process.number} if process.ready else {"slot": keeper.place.node}
        if end.drained:
            log.info("node.drained", extra=who)
            return True
        if self.stopping and end.code == 0:
            return True
        log.error("node.lost", extra={**who, "code": end.code, "stuck": end.stuck})
        if keeper.retired or keeper.process.draining or not keeper.joined:
            return True
        keeper.stuck += end.stuck
        keeper.lost += not end.stuck
        slot = self._slot(keeper.place, keeper.settings, accepts=True)
        # Named in rosters from now on, so that its siblings miss it until it is there.
        keeper.process = NodeProcess(
            msgspec.structs.replace(slot, stuck=keeper.stuck, lost=keeper.lost),
            on_draining=self._send_roster,
        )
        self._send_roster()
        return False

    async def _pause(self, delay: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._stopping.wait()

    def _send_roster(self) -> None:
        """Send the nodes their roster if it has changed."""
        nodes = [keeper.process.entry() for keeper in self._keepers if keeper.joined]
        roster = Roster(nodes=nodes, lost=list(self._lost))
        if roster != self._roster:
            self._roster = roster
            for keeper in self._keepers:
                keeper.process.send(roster)
