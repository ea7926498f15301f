"""The events of calls that have passed from process to process: each is to come once."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from bridge.db.sqlite import FILE
from tests.support.server import Server

BUSY_MACHINE: Final = frozenset({"call.problem", "call.problem_cleared"})
"""Events that come and go by themselves."""
EVENTS: Final = {"leg.joined": 2, "leg.connected": 2, "leg.left": 2, "call.ended": 1}
"""That each call has, and how many; of others one at most."""


class Told(NamedTuple):
    """An event of a call."""

    call_id: str
    kind: str
    data: dict[str, Any]


@dataclass
class EventFaults:
    """What is wrong with events."""

    doubled: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def check(self, name: str, kinds: Mapping[str, int], expected: Mapping[str, int]) -> None:
        """Compare how many events of each kind a call has had with how many it should have; one at most of others."""
        for kind in (kinds.keys() | expected.keys()) - BUSY_MACHINE:
            should, came = expected.get(kind, 1), kinds.get(kind, 0)
            note = f"{name}: {came} of {should} {kind}"
            if came > should:
                self.doubled.append(note)
            elif kind in expected and came < should:
                self.missing.append(note)


def events_of(server: Server) -> list[Told]:
    """Return all events of calls, in their order."""
    with sqlite3.connect(server.folder / "data" / FILE) as database:
        rows = database.execute("SELECT call_id, body FROM events ORDER BY seq").fetchall()
    database.close()
    read = ((call_id, json.loads(body)) for call_id, body in rows if call_id)
    return [Told(call_id, body["type"], body.get("data", {})) for call_id, body in read]


def kinds_of(told: Iterable[Told]) -> dict[str, Counter[str]]:
    """Return how many events of each kind each call has had."""
    found: dict[str, Counter[str]] = {}
    for one in told:
        found.setdefault(one.call_id, Counter())[one.kind] += 1
    return found


async def wait_ended(server: Server, calls: Iterable[str], *, seconds: float = 30.0) -> list[Told]:
    """Wait until calls have their last event; return all events.

    Raises:
        TimeoutError: some have not.
    """
    wanted = set(calls)
    async with asyncio.timeout(seconds):
        while True:
            told = await asyncio.to_thread(events_of, server)
            if wanted <= {one.call_id for one in told if one.kind == "call.ended"}:
                return told
            await asyncio.sleep(0.2)
