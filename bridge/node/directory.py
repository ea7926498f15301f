"""The calls of all nodes: limits over all of them, and the calls of the others.

A call lives in the node that owns it, which its id names. What the nodes must agree on is in a shared file
(`net.directory`); siblings are asked only for the present state of their calls.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias, TypeVar

import msgspec

from bridge.call.model import CallFacts, CallId, CallRecord, Direction, EndReason, LineName
from bridge.call.quota import Quota
from bridge.net.directory import DirectoryFile, Spend
from bridge.net.siblings import Siblings
from bridge.wire.call_id import native

log = logging.getLogger(__name__)

CALLS_PATH = "/node/calls"
"""Where siblings list a line's calls."""
FAR_FEWER = 8
"""How many more calls than another a node must have before it hands over a new one."""

Result = TypeVar("Result")


def owner_of(call_id: str) -> int | None:
    """Return the node that owns a call, from its id in any form; None for what is no call id."""
    known = native(call_id)
    return int(known[:2], 16) if known else None


class LocalDirectory:
    """The directory of a single node, whose memory already has everything."""

    node = 0

    async def insert(self, facts: CallFacts, direction: Direction) -> None:
        """Do nothing."""

    def delete(self, call_id: CallId) -> None:
        """Do nothing."""

    def end(self, call_id: CallId, reason: EndReason) -> None:
        """Do nothing."""

    async def elsewhere(self, line: LineName, *, ended: bool = False) -> list[CallRecord]:
        """Return nothing."""
        return []


class SharedDirectory:
    """The directory of one of several nodes; a thread of its own does its file access, in order."""

    def __init__(
        self,
        folder: Path,
        siblings: Siblings,
        *,
        quota: Quota,
        kept_seconds: float,
        ended_per_line: int,
    ) -> None:
        """Open the directory in `folder`; `quota` limit the calls of all nodes and of each line."""
        self.node = siblings.own
        self._file = DirectoryFile(folder)
        self.siblings = siblings
        self._quota = quota
        self._kept_seconds = kept_seconds
        self._ended_per_line = ended_per_line
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="directory")
        self._last: asyncio.Future[None] | None = None

    def recover(self) -> tuple[list[CallRecord], list[CallRecord]]:
        """Return the calls of this node's previous process (`DirectoryFile.recover`); blocks."""
        return self._file.recover(self.node)

    async def insert(self, facts: CallFacts, direction: Direction) -> None:
        """Count a new call.

        Raises:
            LimitExceeded: the limit of all nodes, or the line's share of it, is reached.
        """
        try:
            await self._run(
                lambda: self._file.insert(facts, direction, self.node, quota=self._quota)
            )
        except asyncio.CancelledError:
            # The thread may insert it all the same; the deletion is queued behind.
            self.delete(facts.call_id)
            raise

    def delete(self, call_id: CallId) -> None:
        """Uncount a call that never started."""
        self._write(lambda: self._file.delete(call_id))

    def end(self, call_id: CallId, reason: EndReason) -> None:
        """Uncount a call that has ended."""
        kept, per_line = self._kept_seconds, self._ended_per_line
        self._write(lambda: self._file.end(call_id, reason, kept_seconds=kept, per_line=per_line))

    async def elsewhere(self, line: LineName, *, ended: bool = False) -> list[CallRecord]:
        """Return a line's live or ended calls on the other nodes, as far as these answer."""
        which = {"ended": "1"} if ended else {}
        answers = await self.siblings.get_all(CALLS_PATH, line=line, **which)
        return [
            record
            for answer in answers.values()
            if answer is not None
            for record in msgspec.json.decode(answer, type=list[CallRecord])
        ]

    async def find(self, call_id: str) -> CallRecord | None:
        """Return a call from the file (`DirectoryFile.find`)."""
        return await self._run(lambda: self._file.find(call_id))

    async def choose_node(self, *, overloaded: bool) -> int:
        """Return the node for the next call: this one, unless it is overloaded or another has far fewer.

        Siblings that have not answered lately are left out.
        """
        calls = await self._run(self._file.live_calls)
        least = min(
            self.siblings.responsive(), key=lambda node: calls.get(node, 0), default=self.node
        )
        far_fewer = calls.get(self.node, 0) - calls.get(least, 0) >= FAR_FEWER
        return least if far_fewer or overloaded else self.node

    async def spend(self, key: bytes, spend: Spend) -> float:
        """Update a key's bucket over all nodes (`DirectoryFile.spend`)."""
        # Keys are secrets: the file holds only their digests.
        digest = hashlib.sha256(key).digest()
        return await self._run(lambda: self._file.spend(digest, spend))

    async def settled(self) -> None:
        """Wait until everything so far is in the file."""
        if self._last is not None and not self._last.done():
            await asyncio.wait([self._last])

    async def aclose(self) -> None:
        """Write what is pending, close the file and the connections to the siblings."""
        await self.settled()
        await self.siblings.aclose()
        self._thread.shutdown()
        self._file.close()

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _write(self, work: Callable[[], None]) -> None:
        self._last = asyncio.get_running_loop().run_in_executor(self._thread, work)
        self._last.add_done_callback(_log_failure)


Directory: TypeAlias = LocalDirectory | SharedDirectory


def _log_failure(write: asyncio.Future[None]) -> None:
    if not write.cancelled() and (error := write.exception()) is not None:
        log.error("directory.failed", exc_info=error)
