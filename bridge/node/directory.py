"""What a node must know beyond its own calls: limits over all nodes, and the calls of the others.

What belongs to a call lives in the node that owns it, and a call's id names its owner. Everything
else that several nodes must agree on is in the shared file (`net.directory`). The siblings are asked
only for what their calls are like right now.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from bridge.call.model import CallFacts, CallId, CallRecord, Direction, EndReason, LineName
from bridge.call.shares import Shares
from bridge.net.directory import DirectoryFile, Spend
from bridge.net.siblings import Siblings
from bridge.wire.call_id import native

log = logging.getLogger(__name__)

CALLS_PATH = "/node/calls"
"""Where siblings list a line's calls to each other."""
FAR_FEWER = 8
"""Calls that a node must be ahead of another before it lets that one have a new one."""

Result = TypeVar("Result")


def owner_of(call_id: str) -> int | None:
    """Say which node owns a call: the first byte of its id, in any form; None for no call id."""
    known = native(call_id)
    return int(known[:2], 16) if known else None


class Directory(Protocol):
    """What the call service asks of it."""

    node: int
    """This node's index."""

    async def enter(self, facts: CallFacts, direction: Direction) -> None:
        """Count a new call in.

        Raises:
            LimitExceeded: all nodes together have their calls.
        """
        ...

    def leave(self, call_id: CallId) -> None:
        """Count out a call that never began."""
        ...

    def ended(self, call_id: CallId, reason: EndReason) -> None:
        """Count out a call that has ended."""
        ...

    async def elsewhere(self, line: LineName, *, ended: bool = False) -> list[CallRecord]:
        """Give a line's live calls on the other nodes, or those that have ended there."""
        ...


class Alone:
    """The directory of the only node there is: everything is in its memory already."""

    node = 0

    async def enter(self, facts: CallFacts, direction: Direction) -> None:
        """Do nothing."""

    def leave(self, call_id: CallId) -> None:
        """Do nothing."""

    def ended(self, call_id: CallId, reason: EndReason) -> None:
        """Do nothing."""

    async def elsewhere(self, line: LineName, *, ended: bool = False) -> list[CallRecord]:
        """Give nothing."""
        return []


class Shared:
    """The directory of one of several nodes.

    A thread of its own waits for the disk, in the order of the calls made here; the loop goes on.
    """

    def __init__(
        self,
        folder: Path,
        siblings: Siblings,
        *,
        shares: Shares,
        kept_seconds: float,
        ended_per_line: int,
    ) -> None:
        """Open the directory.

        Args:
            folder: where the shared file lies.
            siblings: the other nodes.
            shares: how many calls all nodes may have, and how many each line.
            kept_seconds: how long an ended call stays known.
            ended_per_line: how many ended calls of a line do.
        """
        self.node = siblings.own
        self._file = DirectoryFile(folder)
        self.siblings = siblings
        self._shares = shares
        self._kept_seconds = kept_seconds
        self._ended_per_line = ended_per_line
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="directory")
        self._last: asyncio.Future[None] | None = None

    def take_over(self) -> tuple[list[CallRecord], list[CallRecord]]:
        """Give what this node's forerunner left (`DirectoryFile.take_over`); waits for the disk."""
        return self._file.take_over(self.node)

    async def enter(self, facts: CallFacts, direction: Direction) -> None:
        """Count a new call in.

        Raises:
            LimitExceeded: all nodes together have their calls.
        """
        try:
            await self._run(
                lambda: self._file.enter(facts, direction, self.node, shares=self._shares)
            )
        except asyncio.CancelledError:
            # The thread may write it all the same; what is asked of it next comes after that.
            self.leave(facts.call_id)
            raise

    def leave(self, call_id: CallId) -> None:
        """Count out a call that never began."""
        self._write(lambda: self._file.leave(call_id))

    def ended(self, call_id: CallId, reason: EndReason) -> None:
        """Count out a call that has ended."""
        self._write(
            lambda: self._file.ended(
                call_id,
                reason,
                kept_seconds=self._kept_seconds,
                per_line=self._ended_per_line,
            )
        )

    async def elsewhere(self, line: LineName, *, ended: bool = False) -> list[CallRecord]:
        """Give a line's live calls on the other nodes, or those that have ended there.

        A node that does not answer is left out.
        """
        which = {"ended": "1"} if ended else {}
        answers = await self.siblings.ask_all(CALLS_PATH, line=line, **which)
        return [
            record
            for answer in answers.values()
            if answer is not None
            for record in msgspec.json.decode(answer, type=list[CallRecord])
        ]

    async def find(self, call_id: str) -> CallRecord | None:
        """Give what the file knows of a call (`DirectoryFile.find`)."""
        return await self._run(lambda: self._file.find(call_id))

    async def place(self, *, overloaded: bool) -> int:
        """Say which node should have the next call: this one, unless another has far fewer.

        One that is overloaded prefers any other. Siblings that were silent lately are left out.
        """
        calls = await self._run(self._file.live_calls)
        least = min(self.siblings.sound(), key=lambda node: calls.get(node, 0), default=self.node)
        far_fewer = calls.get(self.node, 0) - calls.get(least, 0) >= FAR_FEWER
        return least if far_fewer or overloaded else self.node

    async def spend(self, key: bytes, spend: Spend) -> float:
        """Take from the bucket that a key has over all nodes; gives what is left in it.

        Raises what `spend` raises.
        """
        # Keys are secrets: the file holds what tells them apart, and no more.
        digest = hashlib.sha256(key).digest()
        return await self._run(lambda: self._file.spend(digest, spend))

    async def settled(self) -> None:
        """Wait until all that has happened so far is in the file."""
        if self._last is not None and not self._last.done():
            await asyncio.wait([self._last])

    async def aclose(self) -> None:
        """Write what is left, let go of the file and of the siblings."""
        await self.settled()
        await self.siblings.aclose()
        self._thread.shutdown()
        self._file.close()

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _write(self, work: Callable[[], None]) -> None:
        self._last = asyncio.get_running_loop().run_in_executor(self._thread, work)
        self._last.add_done_callback(_log_failure)


def _log_failure(write: asyncio.Future[None]) -> None:
    if not write.cancelled() and (error := write.exception()) is not None:
        log.error("directory.failed", exc_info=error)
