"""Keeps the nodes running: restarts those that are lost, drains them, replaces them by new ones."""

import asyncio
import logging
import os
import secrets
from collections import deque
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.backoff import Backoff
from bridge.errors import SetupError
from bridge.supervisor.kept_calls import KeptCall
from bridge.supervisor.process import End, NodeProcess
from bridge.supervisor.slots import NodeSettings, NodeSlot, assign_slots, node_count
from bridge.supervisor.spare import Spare
from bridge.supervisor.strikes import Strikes
from bridge.tasks import wait_set
from bridge.wire.supervision import Accept, HandOver, Process, Roster, Slot, Spares

log = logging.getLogger(__name__)

CANNOT_START: Final = 2
"""Exit code of a process with invalid settings or missing requirements."""
RESTART: Final = Backoff(0.25, 15.0)
"""Delay before a node is started again; it grows with failures that come soon after a start."""
MAX_FAILED_STARTS: Final = 3
"""Failed starts of a node, while none has ever been ready, after which the bridge gives up."""
HEALTHY_SECONDS: Final = 30.0
"""A node that ran this long resets its restart delay."""
MAX_LOST: Final = 256
"""Ended processes that rosters name; those that are draining ended as they were to."""
UPGRADE_SECONDS: Final = 60.0
"""How long the new nodes of an upgrade may take until they are ready."""


class UpgradeFailed(SetupError, code="upgrade_failed"):
    """The new nodes are not there, and the old ones go on."""


@dataclass(slots=True, eq=False)
class _Worker:
    """A node that is kept running."""

    node_slot: NodeSlot
    settings: NodeSettings
    joined: bool
    """Whether it is one of the nodes; those of an upgrade are none before all are ready."""
    process: NodeProcess = field(init=False)
    retired: bool = False
    """Whether it is not to be started anew."""
    stuck: int = 0
    lost: int = 0
    successor: "_Worker | None" = None
    """Which takes over its calls, whatever process that has."""
    told: int | None = None
    """The number of that process, as the node was told."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it has ended for good."""
    kept_calls: list[KeptCall] = field(default_factory=list)
    """Calls that its process inherits, until that is ready."""
    ended: list[Process] = field(default_factory=list)
    """Processes that left them, which are not named in rosters as lost before: then others would end their calls."""
    strikes: Strikes = field(default_factory=Strikes)

    def keep_for_successor(self, now: float, marks: Container[int]) -> None:
        """Keep the calls of the process that has died, and those that it had not taken yet, for the next one.

        `marks` are those of the calls that it may have died of.
        """
        process = self.process
        newer = {one.message.call_id: one for one in process.left}
        for one in self.kept_calls:
            one.boots.insert(0, process.boot)
            if (copied := newer.get(one.message.call_id)) is not None:
                copied.strikes += one.strikes
                one.close()
        self.kept_calls = [one for one in self.kept_calls if one.message.call_id not in newer]
        self.kept_calls += process.left
        process.left = []
        if self.strikes.note(now, self.kept_calls, marks):
            log.error("node.crash_loop", extra={"node": process.number})
            self.close_kept_calls()

    def release_kept_calls(self) -> None:
        """Keep them no more, as the process has taken them; but those that it may die of, until it has copied them."""
        struck = [one for one in self.kept_calls if one.strikes]
        for one in self.kept_calls:
            if not one.strikes:
                one.close()
        self.kept_calls = [one for one in struck if not self.process.keep_struck(one)]

    def close_kept_calls(self) -> None:
        """Keep them no more: nobody is to take them."""
        for one in self.kept_calls:
            one.close()
        self.kept_calls = []

    def hand_over(self) -> None:
        """Have its calls passed to its successor, which has another number when it was lost and started anew."""
        number = self.successor.process.number if self.successor is not None else None
        if number is not None and number != self.told:
            self.told = number
            self.process.send(HandOver(node=number))


class Fleet:
    """The nodes of one machine."""

    def __init__(self, settings: NodeSettings, listeners: Sequence[int], spare: Spare) -> None:
        """`listeners` are file descriptors of the sockets that all nodes share."""
        self.settings = settings
        """Those that new nodes are started with."""
        self._listeners = list(listeners)
        self._spare = spare
        spare.on_change = self._send_roster
        self._run = secrets.token_hex(8)
        self._workers: list[_Worker] = []
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
        return [worker.process for worker in self._workers]

    def spares(self) -> Spares:
        """Return what waits for a node that dies."""
        spare = self._spare
        return Spares(ready=spare.ready, memory=spare.memory, why_not=spare.why_not)

    async def run(self) -> None:
        """Start the nodes, and keep them until all have ended for good.

        Raises:
            SetupError: a node cannot start.
        """
        async with self._tasks:
            for node_slot in assign_slots(self.settings.read):
                self._add(node_slot, joined=True)
            self._send_roster()
            for worker in self._workers:
                self._tasks.create_task(self._keep(worker))
        self._spare.close()
        log.info("bridge.stopped")
        if self._refused:
            raise SetupError("a node could not start; its error is above")

    def drain(self, seconds: float | None, reason: str) -> None:
        """Let all nodes drain, then end; 0 seconds ends the calls at once, None never does."""
        self._stopping.set()
        self._spare.close()
        for worker in self._workers:
            worker.retired = worker.process.draining = True
        self._send_roster()  # before the orders: no node leaves new calls to another
        for worker in self._workers:
            worker.process.drain(seconds, reason)

    def drain_node(self, process: NodeProcess, seconds: float | None) -> None:
        """Let one node drain; it is not started anew."""
        for worker in self._workers:
            if worker.process is process:
                worker.retired = True
                process.drain(seconds, "request")
        self._send_roster()

    def stop(self) -> None:
        """End all nodes at once."""
        self._stopping.set()
        self._spare.close()
        for worker in self._workers:
            worker.retired = True
            worker.process.stop()

    async def upgrade(
        self, settings: NodeSettings, seconds: float | None, report: Callable[[str], None]
    ) -> list[NodeProcess]:
        """Start new nodes; once they are ready the old ones pass them their calls, and drain. Return the old ones.

        Raises:
            UpgradeFailed: the new ones do not get ready, or an upgrade is under way.
            SettingsError: there are too few ports or node numbers.
        """
        if self._upgrading or self.stopping:
            doing = "stopping" if self.stopping else "being upgraded already"
            raise UpgradeFailed(f"the bridge is {doing}")
        self._upgrading = True
        old = list(self._workers)
        former, self.settings = self.settings, settings
        new: list[_Worker] = []
        try:
            node_slots = assign_slots(settings.read, {worker.node_slot.node for worker in old})
            report(f"starting {len(node_slots)} new {'nodes' if len(node_slots) > 1 else 'node'}")
            new = [self._add(node_slot, joined=False) for node_slot in node_slots]
            for worker in new:
                self._tasks.create_task(self._keep(worker))
            await self._wait_ready(new)
        except BaseException:
            self.settings = former
            for worker in new:
                worker.retired = True
                worker.process.stop()
            raise
        finally:
            self._upgrading = False
        for worker in new:
            worker.joined = True
        for worker in old:
            worker.retired = True
        self._send_roster()
        for worker in new:
            worker.process.send(Accept(on=True))
        for index, worker in enumerate(old):
            worker.process.send(Accept(on=False))
            worker.successor = new[index % len(new)]
            worker.hand_over()
            worker.process.drain(seconds, "upgrade")
        self._send_roster()
        self._renew_spare()
        log.info("bridge.upgraded", extra={"nodes": len(new)})
        return [worker.process for worker in old]

    async def _wait_ready(self, new: Sequence[_Worker]) -> None:
        try:
            async with asyncio.timeout(UPGRADE_SECONDS):
                for worker in new:
                    await worker.process.ready_or_ended.wait()
        except TimeoutError:
            raise UpgradeFailed(
                f"the new nodes were not ready within {UPGRADE_SECONDS:.0f} s; the old ones go on"
            ) from None
        if self.stopping or not all(worker.process.ready for worker in new):
            raise UpgradeFailed(
                "a new node ended before it was ready, its error is in the log; the old ones go on"
            )

    def _add(self, node_slot: NodeSlot, *, joined: bool) -> _Worker:
        worker = _Worker(node_slot, self.settings, joined)
        worker.process = self._process(worker)
        self._workers.append(worker)
        return worker

    def _process(self, worker: _Worker) -> NodeProcess:
        slot = Slot(
            node=worker.node_slot.node,
            boot=secrets.token_hex(8),
            run=self._run,
            count=node_count(worker.settings.read),
            listeners=self._listeners,
            core=worker.node_slot.core,
            ports=worker.node_slot.ports,
            settings=worker.settings.text,
            roster=self._roster,
            accepts=worker.joined,
            stuck=worker.stuck,
            lost=worker.lost,
            inherited=[one.inherited() for one in worker.kept_calls],
        )
        recovery = worker.settings.read.recovery
        keeps = recovery.enabled and hasattr(os, "memfd_create")
        return NodeProcess(
            slot, on_draining=self._send_roster, keeps=keeps, hang_seconds=recovery.hang_seconds
        )

    async def _keep(self, worker: _Worker) -> None:
        """Run one node and restart it until it is to end."""
        loop = asyncio.get_running_loop()
        failures = failed_starts = 0
        try:
            while True:
                began, process = loop.time(), worker.process
                end = await self._run_once(worker)
                if self._is_over(worker, end):
                    return
                failed_starts += 1
                if not self._ever_ready and (
                    end.code == CANNOT_START or failed_starts >= MAX_FAILED_STARTS
                ):
                    self._refused = True
                    self.stop()
                    return
                failures = 1 if loop.time() - began > HEALTHY_SECONDS else failures + 1
                # Those whose calls wait are not heard meanwhile.
                at_once = worker.kept_calls and process.ready
                await wait_set(self._stopping, 0.0 if at_once else RESTART.after(failures))
                if worker.retired:
                    return
        finally:
            worker.kept_calls += worker.process.left
            worker.close_kept_calls()
            self._workers.remove(worker)
            worker.gone.set()
            self._announce(worker)

    async def _run_once(self, worker: _Worker) -> End:
        """Run a node until it ends."""
        process = worker.process
        process.spare = self._spare.take(worker.settings)
        ready = self._tasks.create_task(self._note_ready(worker, process))
        try:
            end = await process.run()
        except OSError as error:  # no memory or processes left: the other nodes go on
            log.error("node.start_failed", extra={"error": error.strerror})
            end = End(1, stuck=False, drained=False)
            process.ready_or_ended.set()
        await ready
        worker.ended.append(Process(process.node, process.boot, draining=end.drained))
        return end

    async def _note_ready(self, worker: _Worker, process: NodeProcess) -> None:
        await process.ready_or_ended.wait()
        if not process.ready:
            return
        self._ever_ready = True
        worker.release_kept_calls()
        self._announce(worker)
        for other in self._workers:
            if other.successor is worker:
                other.hand_over()
        self._renew_spare()

    def _renew_spare(self) -> None:
        """Have a spare for the nodes that there are, once nothing else is being started."""
        if not self._upgrading and all(worker.process.ready for worker in self._workers):
            self._spare.want(self.settings)

    def _is_over(self, worker: _Worker, end: End) -> bool:
        """Note how a node has ended; return whether for good."""
        process = worker.process
        # Its number may be another than its slot's, and is not known before it is ready.
        who = {"node": process.number} if process.ready else {"slot": worker.node_slot.node}
        if end.drained:
            log.info("node.drained", extra=who)
            return True
        if self.stopping and end.code == 0:
            return True
        log.error("node.lost", extra={**who, "code": end.code, "stuck": end.stuck})
        if worker.retired or worker.process.draining or not worker.joined:
            return True
        if end.stuck:
            worker.stuck += 1
        else:
            worker.lost += 1
        worker.keep_for_successor(asyncio.get_running_loop().time(), end.accused)
        # Named in rosters from now on, so that its siblings miss it until it is there.
        worker.process = self._process(worker)
        if worker.kept_calls:
            self._send_roster()
        else:
            self._announce(worker)
        return False

    def _announce(self, worker: _Worker) -> None:
        """Name the processes of a worker that have ended, and whose calls nobody goes on with any more or already."""
        self._lost.extend(worker.ended)
        worker.ended.clear()
        self._send_roster()

    def _send_roster(self) -> None:
        """Send the nodes their roster if it has changed."""
        nodes = [worker.process.entry() for worker in self._workers if worker.joined]
        roster = Roster(nodes=nodes, lost=list(self._lost), spares=self._spare.ready)
        if roster != self._roster:
            self._roster = roster
            for worker in self._workers:
                worker.process.send(roster)
