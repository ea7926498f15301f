"""A process of this package that runs as a node, or waits to: its start, and what connects it with the supervisor."""

import asyncio
import contextlib
import logging
import os
import sys
from asyncio import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import bridge
from bridge.errors import SetupError
from bridge.supervisor.kept_calls import KeptCalls
from bridge.wire import supervision
from bridge.wire.supervision import Inherited, ToNode

log = logging.getLogger(__name__)

NODE_FLAG: Final = "--node"


def interpreter() -> list[str]:
    """Return the command that runs this package in a new process.

    It imports nothing from the working directory, where others may have put modules, unless this package is there.
    """
    checkout = Path(bridge.__file__).parents[1].samefile(".")
    return [sys.executable, *([] if checkout else ["-P"]), "-m", "bridge"]


class Child:
    """A process that has been started; its first line tells it what it is."""

    def __init__(
        self,
        process: subprocess.Process,
        orders: asyncio.StreamWriter,
        kept: KeptCalls | None,
        resources: contextlib.ExitStack,
        ends: tuple[int, int],
    ) -> None:
        """Use `start` instead."""
        self.process = process
        self._orders = orders
        self.kept = kept
        """What the process wants to be kept; None where nothing is."""
        self.reports, self.pipe = ends
        """What it writes to, at this end and at its own."""
        self._resources = resources
        self.prepared = False
        """Whether it was started before its slot was known."""

    @classmethod
    async def start(
        cls, listeners: Sequence[int], inherited: Sequence[Inherited] = (), *, keeps: bool
    ) -> Self:
        """Start a process, with duplicates of these descriptors; `keeps` is whether its calls are kept for a successor.

        Raises:
            OSError: there is no memory, or there are too many processes or descriptors.
        """
        with contextlib.ExitStack() as resources:
            ends = resources.enter_context(pipe())
            kept = None
            if keeps:
                kept = KeptCalls()
                resources.callback(kept.close)
            passed = {*listeners, ends[1], *_descriptors(inherited)}
            process = await asyncio.create_subprocess_exec(
                *interpreter(),
                NODE_FLAG,
                stdin=subprocess.PIPE,
                pass_fds=passed if kept is None else {*passed, kept.theirs},
            )
            if process.stdin is None:  # for the type checker
                raise SetupError("a node has no standard input")
            return cls(process, process.stdin, kept, resources.pop_all(), ends)

    @property
    def keep(self) -> int:
        """The descriptor of its end of `kept`; -1 for none."""
        return -1 if self.kept is None else self.kept.theirs

    def send(self, message: ToNode) -> None:
        """Send a message; none is sent to a process that has ended."""
        if not self._orders.is_closing():
            self._orders.write(supervision.serialize(message))

    async def pass_calls(self, inherited: Sequence[Inherited]) -> None:
        """Pass the descriptors of calls, unless the process was started with them; to be cancelled when it has ended."""
        if self.kept is None or not self.prepared:
            return
        try:
            for one in inherited:
                await self.kept.send([one.ledger, one.snapshot, *one.descriptors])
        except OSError as error:
            log.error("kept_calls.not_passed", extra={"error": error.strerror})

    def close(self) -> None:
        """Kill the process if it runs, and close what connects it."""
        self._orders.close()
        self._resources.close()
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()


def _descriptors(inherited: Sequence[Inherited]) -> Iterator[int]:
    for one in inherited:
        yield from (one.ledger, one.snapshot, *one.descriptors)


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Open a non-blocking pipe: its read end and write end."""
    ends = os.pipe()
    try:
        for end in ends:
            os.set_blocking(end, False)
        yield ends
    finally:
        for end in ends:
            os.close(end)
