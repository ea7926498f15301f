"""What consoles show of the whole bridge while it happens: the live calls, the nodes and the lines.

Nothing is computed while nobody watches. The node that a console is connected to asks its siblings for
their snapshots once a second, and sends what has changed.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import msgspec

from bridge.cluster.siblings import Siblings
from bridge.errors import DatabaseLost, LimitExceeded
from bridge.node.console.console import (
    HISTORY,
    SNAPSHOT_PATH,
    LineHealth,
    NodeFigures,
    NodeView,
    Snapshot,
    address_of,
    shown,
)
from bridge.slices import in_steps
from bridge.stores.nodes import Member
from bridge.tasks import Tasks
from bridge.wire.iso8601 import unix_milliseconds

log = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 1.0
ROWS_AT_ONCE: Final = 20
"""Calls put into the table before the event loop does something else."""
MAX_WATCHERS: Final = 32
"""Consoles connected to one node."""
QUIET_REFRESHES: Final = 5
"""After so many without a change a comment is sent, which shows that the connection lives."""

Row: TypeAlias = dict[str, Any]
"""A record of a snapshot as JSON has it."""


class LiveTable:
    """The live calls, nodes and lines of the whole bridge, for all consoles of this node."""

    def __init__(
        self,
        own: NodeView,
        siblings: Siblings | None,
        find: Callable[[int], Member | None] = lambda node: None,
    ) -> None:
        """`siblings` is None for a single node, `find` returns a node that is alive."""
        self._own = own
        self._find = find
        self._siblings = siblings
        self._watchers = 0
        self.closed = False
        """Whether the bridge shuts down."""
        self._running = False
        self._tasks = Tasks()
        self._forget()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count a console for as long as it is connected.

        Raises:
            LimitExceeded: this node has `MAX_WATCHERS` already.
        """
        if self._watchers >= MAX_WATCHERS:
            raise LimitExceeded(f"there are {MAX_WATCHERS} consoles on this node already")
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1

    async def follow(self) -> AsyncGenerator[bytes | None, None]:
        """Yield the table as JSON, then what has changed, once a second until the bridge shuts down.

        None is yielded when nothing has changed for a while. A reader that missed a change gets the whole
        table again: nothing is queued.
        """
        if not self._running:
            self._running = True
            self._forget()
            self._tasks.spawn(self._run(), name="console")
        seen, quiet = 0, 0
        while not self.closed:
            if self._number == seen:
                await self._refreshed.wait()
                continue
            missed = seen == 0 or self._number > seen + 1
            seen, quiet = self._number, quiet + 1
            if missed or self._change is not None:
                yield self._whole() if missed else self._change
                quiet = 0
            elif quiet >= QUIET_REFRESHES:
                yield None
                quiet = 0

    async def aclose(self) -> None:
        """Let every reader end."""
        self.closed = True
        self._refreshed.set()
        await self._tasks.aclose()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._watchers:
            due = loop.time() + REFRESH_SECONDS
            try:
                await self._refresh()
            except DatabaseLost:
                pass  # logged there
            except Exception:  # must not end the loop
                log.exception("console.failed")
            await asyncio.sleep(max(REFRESH_SECONDS / 10, due - loop.time()))
        self._running = False

    def _forget(self) -> None:
        self._number = 0
        """Of refreshes so far."""
        self._refreshed = asyncio.Event()
        self._calls: dict[str, Row] = {}
        self._history: dict[str, deque[float | None]] = {}
        self._nodes: list[Row] = []
        self._lines: dict[str, Row] = {}
        self._change: bytes | None = None

    async def _refresh(self) -> None:
        first = self._number == 0
        asked, wanted = self._siblings, {"history": "1"} if first else {}
        answers = await asked.request_all(SNAPSHOT_PATH, **wanted) if asked else {}
        own = await self._own.snapshot(history=first)
        found = {own.node.node: own} | {
            node: None if answer is None else msgspec.json.decode(answer, type=Snapshot)
            for node, answer in answers.items()
        }
        calls: dict[str, Row] = {}
        changed: list[Row] = []
        live = (call for snapshot in found.values() if snapshot for call in snapshot.calls)
        async for call in in_steps(live, at_once=ROWS_AT_ONCE):
            history, call.mos_history = call.mos_history, None
            row = msgspec.to_builtins(call)
            del row["mosHistory"]
            calls[call.call_id] = row
            kept = self._history.setdefault(call.call_id, deque(history or (), HISTORY))
            kept.append(call.mos)
            if difference := _difference(self._calls.get(call.call_id, {}), row):
                changed.append({"callId": call.call_id} | difference)
        # The calls of a node that does not answer stay as they were last seen.
        silent = {node for node, snapshot in found.items() if snapshot is None}
        calls |= {key: row for key, row in self._calls.items() if row["node"] in silent}
        self._publish(calls, changed, self._nodes_of(found), _merged(found))

    def _publish(
        self,
        calls: dict[str, Row],
        changed_calls: list[Row],
        nodes: list[Row],
        lines: dict[str, Row],
    ) -> None:
        gone = [key for key in self._calls if key not in calls]
        for key in gone:
            self._history.pop(key, None)
        changed = {
            "calls": changed_calls,
            "gone": gone,
            "nodes": nodes if nodes != self._nodes else [],
            "lines": [row for key, row in lines.items() if row != self._lines.get(key)],
            "linesGone": [key for key in self._lines if key not in lines],
        }
        self._calls, self._nodes, self._lines = calls, nodes, lines
        change = {name: rows for name, rows in changed.items() if rows}
        self._change = _encoded(change) if change else None
        self._number += 1
        refreshed, self._refreshed = self._refreshed, asyncio.Event()
        refreshed.set()

    def _nodes_of(self, found: Mapping[int, Snapshot | None]) -> list[Row]:
        """Return the nodes by number, then those that were lost lately and have no successor, the newest first."""
        nodes = [
            snapshot.node if snapshot else self._silent(node)
            for node, snapshot in sorted(found.items())
        ]
        lost = {one.node: one for snapshot in found.values() if snapshot for one in snapshot.lost}
        left = [one for node, one in lost.items() if node not in found]
        newest_first = sorted(left, key=lambda one: one.since, reverse=True)
        return [msgspec.to_builtins(one) for one in (*nodes, *newest_first)]

    def _silent(self, node: int) -> NodeFigures:
        member = self._find(node)
        if member is None:
            return NodeFigures(node, "silent")
        return NodeFigures(node, "silent", machine=shown(member), address=address_of(member))

    def _whole(self) -> bytes:
        calls = [
            row | {"mosHistory": list(self._history.get(key, ()))}
            for key, row in self._calls.items()
        ]
        lines = list(self._lines.values())
        return _encoded({"all": True, "calls": calls, "nodes": self._nodes, "lines": lines})


def _merged(found: Mapping[int, Snapshot | None]) -> dict[str, Row]:
    """Return the lines by name, each with what the nodes heard last."""
    lines: dict[str, LineHealth] = {}
    for snapshot in found.values():
        for line in snapshot.lines if snapshot else ():
            known = lines.setdefault(line.line, line)
            if line.failed_at > known.failed_at:
                known.failed_at, known.failure = line.failed_at, line.failure
            known.answered_at = max(known.answered_at, line.answered_at)
            known.reported_at = max(known.reported_at, line.reported_at)
    return {name: msgspec.to_builtins(line) for name, line in sorted(lines.items())}


def _difference(old: Row, new: Row) -> Row:
    return {name: value for name, value in new.items() if name not in old or old[name] != value}


def _encoded(message: Row) -> bytes:
    return msgspec.json.encode({"now": unix_milliseconds(datetime.now(UTC))} | message)
