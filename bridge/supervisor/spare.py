"""Keeps a spare: a process that waits, with everything loaded, for the slot of a node that dies."""

import asyncio
import logging
import os
import select
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeAlias

from bridge.backoff import Backoff
from bridge.cluster.memory_limit import MIN_FOR_SPARE, memory_limit
from bridge.errors import RemoteProtocolError
from bridge.supervisor.child import Child
from bridge.supervisor.slots import NodeSettings
from bridge.wire import supervision
from bridge.wire.supervision import Prepare, Prepared

log = logging.getLogger(__name__)

RESTART: Final = Backoff(1.0, 300.0)
"""Delay after a spare that could not get ready, or died; it grows with those in a row that did not get ready."""
START_SECONDS: Final = 300.0
"""How long one may take until it is ready: it starts at low priority."""

Start: TypeAlias = Callable[[Sequence[int]], Awaitable[Child]]


async def _start(listeners: Sequence[int]) -> Child:
    return await Child.start(listeners, keeps=True)


class Spare:
    """At most one process that is no node yet."""

    def __init__(
        self,
        listeners: Sequence[int],
        *,
        start: Start = _start,
        limit: Callable[[], int | None] = memory_limit,
    ) -> None:
        """`listeners` are those of nodes; `start` starts a process, `limit` returns how many bytes of memory there may be."""
        self._listeners = listeners
        self._start = start
        self._limit = limit
        self.on_change: Callable[[], None] = lambda: None
        """Called when there is a ready one, and when there is none any more."""
        self.memory = 0
        """Bytes that the ready one had for itself alone when it was."""
        self.why_not = "the nodes are not ready"
        """Why there is to be none; empty while there is."""
        self._settings: NodeSettings | None = None
        self._child: Child | None = None
        """The ready one."""
        self._taken: Child | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._loop = asyncio.get_running_loop()

    @property
    def ready(self) -> int:
        """How many can take a slot."""
        return int(self._child is not None)

    def want(self, settings: NodeSettings) -> None:
        """Have one with these settings, from now on until it is taken; one with others is replaced."""
        if self._task is not None and self._settings is settings:
            return
        self._drop()
        self.why_not = "the bridge is stopping" if self._closed else self._refusal(settings)
        if not self.why_not:
            self._settings = settings
            self._task = self._loop.create_task(self._keep(settings), name="spare")

    def take(self, settings: NodeSettings) -> Child | None:
        """Return the ready one, if its settings are these very ones; there is no other before `want`."""
        child = self._child
        if child is None or self._settings is not settings or child.process.returncode is not None:
            return None
        self._taken = child
        self._drop()
        return child

    def close(self) -> None:
        """End the one that there is, and have none any more."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task = None
        self._set_ready(None)

    def _refusal(self, settings: NodeSettings) -> str:
        """Return why there can be none; empty if there can."""
        recovery, limit = settings.read.recovery, self._limit()
        if not (recovery.enabled and recovery.spare and hasattr(os, "memfd_create")):
            return "recovery.spare is off"
        if limit is None or limit >= MIN_FOR_SPARE:
            return ""
        why = (
            f"{limit >> 20} MiB of memory are allowed, and {MIN_FOR_SPARE >> 20} are needed for one"
        )
        log.warning("spare.off", extra={"why": why})
        return why

    async def _keep(self, settings: NodeSettings) -> None:
        """Start one after the other, until cancelled."""
        failures = 0
        while True:
            ready = await self._run_one(settings)
            failures = 1 if ready else failures + 1
            await asyncio.sleep(RESTART.after(failures))

    async def _run_one(self, settings: NodeSettings) -> bool:
        """Start one, and wait until it has ended; return whether it was ready."""
        try:
            child = await self._start(self._listeners)
        except OSError as error:  # no memory or processes left
            log.error("spare.start_failed", extra={"error": error.strerror})
            return False
        child.prepared = True
        child.send(Prepare(settings=settings.text, pipe=child.pipe, keep=child.keep))
        ended = self._loop.create_task(child.process.wait(), name="wait for the spare")
        try:
            memory = await _prepared(child, ended)
            if memory is None:
                log.error("spare.failed", extra={"code": child.process.returncode})
                return False
            log.info("spare.ready", extra={"pid": child.process.pid, "mb": memory // 1_000_000})
            self._set_ready(child, memory)
            await ended
            log.warning("spare.lost", extra={"code": child.process.returncode})
            return True
        finally:
            ended.cancel()
            if child is self._taken:
                self._taken = None
            else:
                child.close()
            if child is self._child:
                self._set_ready(None)

    def _set_ready(self, child: Child | None, memory: int = 0) -> None:
        if self._child is not child:
            self._child, self.memory = child, memory
            self.on_change()


async def _prepared(child: Child, ended: asyncio.Future[int]) -> int | None:
    """Wait until a process can take a slot; return how many bytes it has for itself, or None if it ends or takes too long."""
    loop = asyncio.get_running_loop()
    said: asyncio.Future[int] = loop.create_future()
    loop.add_reader(child.reports, partial(_read, child.reports, said))
    try:
        await asyncio.wait(
            [said, ended], timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        return said.result() if said.done() else None
    finally:
        loop.remove_reader(child.reports)


def _read(pipe: int, said: asyncio.Future[int]) -> None:
    """Read the one message of a spare, which is shorter than what a pipe takes at once."""
    try:
        message = supervision.from_node(os.read(pipe, select.PIPE_BUF))
    except (BlockingIOError, RemoteProtocolError):
        return
    if isinstance(message, Prepared) and not said.done():
        said.set_result(message.memory)
