"""How long an event takes from its happening to the disk, at a steady rate, on each database.

The events are those of 20 calls at once, of which each is delivered to one webhook; they come at random moments.
The database writes to a real disk and waits for it.
"""

import asyncio
import json
import random
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import uvloop
from prometheus_client import CollectorRegistry

from bridge.cluster.membership import SingleNode
from bridge.db.database import Database, Engine, wall_time
from bridge.db.postgres import Postgres
from bridge.db.sqlite import FILE, Sqlite
from bridge.metrics.database import DatabaseMetrics
from bridge.metrics.events import EventMetrics
from bridge.stores import endpoints, events
from bridge.stores.endpoints import Endpoint
from bridge.stores.event_log import EVENT, EventLog
from bridge.wire.call_event import CallEvent, CallSnapshot, EventType
from bridge.wire.webhook.formats import Style
from tests.support.metric_families import families_in
from tests.support.servers.postgres import TEMPLATE, programs, running_postgres

RATE = 200.0
"""Events a second."""
CALLS = 20
DISK = Path("/var/tmp")


@dataclass(slots=True, kw_only=True)
class EventLoad:
    """What became of the events of one database."""

    database: str
    sent: int = 0
    delays: list[float] = field(default_factory=list)
    """Seconds from an event to its commit."""
    commits: int = 0
    cpu: float = 0.0
    """Percent of a core, of the bridge's process."""


async def run(name: str, engine: Engine, *, seconds: float, seed: int = 1) -> EventLoad:
    """Append events, and measure when each is on the disk."""
    registry = CollectorRegistry()
    create = families_in(registry)
    found = EventLoad(database=name)
    database = Database(engine, metrics=DatabaseMetrics(create))
    members = SingleNode()
    EventLog(database, members=members, metrics=EventMetrics(create))
    await database.run(members.register)
    endpoint = Endpoint(
        id="we_bench", line="bench", url="https://example.com/", style=Style.WAGO, created_at=0.0
    )
    await database.run(endpoints.put, endpoint)
    gaps = random.Random(seed)
    loop = asyncio.get_running_loop()
    began, cpu = loop.time(), time.process_time()
    at = began
    while at < began + seconds:
        await asyncio.sleep(max(0.0, at - loop.time()))
        entry = events.entry_of(event(found.sent), members.own, None, at=wall_time())
        done = partial(
            lambda since: found.delays.append(time.monotonic() - since), time.monotonic()
        )
        database.append(EVENT, msgspec.msgpack.encode(entry), then=done)
        found.sent += 1
        at += gaps.expovariate(RATE)
    await database.flush()
    found.cpu = 100 * (time.process_time() - cpu) / (loop.time() - began)
    found.commits = int(registry.get_sample_value("bridge_database_commit_seconds_count") or 0)
    await database.aclose()
    return found


def event(number: int) -> CallEvent:
    """Return an event of one of the calls."""
    call = CallSnapshot(
        id=f"{number % CALLS:032X}",
        direction="outbound",
        state="active",
        peer="15550100001",
        started_at=datetime.now(UTC),
    )
    return CallEvent(
        id=f"evt_{number:08x}",
        type=EventType.CALL_ANSWERED,
        line="bench",
        at=datetime.now(UTC),
        call=call,
        data={"legID": "leg_1", "party": "far"},
    )


def main() -> None:
    """Measure the databases that there are, for as long as standard input says."""
    plan = json.load(sys.stdin)
    found = []
    with tempfile.TemporaryDirectory(dir=DISK) as folder:
        file = Sqlite(Path(folder) / FILE)
        found.append(uvloop.run(run("SQLite", file, seconds=plan["seconds"])))
    if programs() is not None:
        with running_postgres(DISK, fsync="on", full_page_writes="on") as server:
            engine = Postgres(server.tcp_url(TEMPLATE, options="?sslmode=disable"))
            found.append(uvloop.run(run("PostgreSQL", engine, seconds=plan["seconds"])))
    json.dump([asdict(one) for one in found], sys.stdout)


if __name__ == "__main__":
    main()
