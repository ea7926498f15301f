"""A line with many undelivered webhooks does not hold up the database for all others."""

from datetime import UTC, datetime
from itertools import count

import pytest

from bridge.stores import deliveries, endpoints, events
from bridge.stores.deliveries import REPLAY_PAGE
from bridge.stores.endpoints import Endpoint
from bridge.stores.nodes import Member
from bridge.wire.call_event import CallEvent, CallSnapshot
from bridge.wire.webhook.formats import Style
from tests.support.inprocess import running

MANY = 3 * REPLAY_PAGE + 1
OWN = Member(node=7, boot="00" * 8)
"""Not the node that runs: it would deliver while the test counts."""
STEPS = 100
"""Of SQLite's virtual machine, from one count to the next."""


def fill(connection, lanes: int) -> None:
    """Have one event of each of so many calls, for an endpoint that takes nothing."""
    connection.execute("DELETE FROM deliveries")
    endpoint = Endpoint(
        id="slot", line="demo", url="http://127.0.0.1:9", style=Style.NATIVE, created_at=0.0
    )
    endpoints.put(connection, endpoint)
    at = datetime.now(UTC)
    for number in range(lanes):
        call = CallSnapshot(
            id=f"00{number:030X}", direction="outbound", state="ended", peer="1", started_at=at
        )
        event = CallEvent(id=f"evt_{number}", type="call.ended", line="demo", at=at, call=call)
        events.insert(connection, event, own=OWN, callback=None)


def give_up(connection) -> None:
    connection.execute("UPDATE deliveries SET dead_at = first_at, due = NULL")


def cost(connection, work) -> int:
    """Return how many steps of SQLite a work takes, in hundreds."""
    ticks = count()
    sqlite = connection._connection
    sqlite.set_progress_handler(lambda: next(ticks) < 0, STEPS)
    try:
        work()
    finally:
        sqlite.set_progress_handler(None, 0)
    return next(ticks)


async def test_all_dead_deliveries_are_replayed_a_page_in_each_work():
    async with running() as client:
        database = client.bridge.events.database
        await database.run(lambda connection: fill(connection, MANY))
        await database.run(give_up)
        assert await client.data("/events/replay", {}) == {"replayed": MANY}


async def test_chosen_deliveries_are_replayed_wherever_they_are():
    async with running() as client:
        database = client.bridge.events.database
        await database.run(lambda connection: fill(connection, MANY))
        await database.run(give_up)
        dead = await database.run(lambda c: c.execute("SELECT seq FROM deliveries").fetchall())
        wanted = {"ids": [dead[0][0], dead[-1][0], 10**9]}
        assert await client.data("/events/replay", wanted) == {"replayed": 2}


@pytest.mark.parametrize("what", ["replay", "due"])
async def test_a_work_takes_no_longer_where_more_waits(what):
    def work(connection):
        if what == "replay":
            give_up(connection)
            return cost(connection, lambda: replay(connection))
        return cost(connection, lambda: due(connection))

    def replay(connection):
        deliveries.replay(connection, "demo", node=0, now=0.0, numbers=None, after=0)

    def due(connection):
        later = datetime.now(UTC).timestamp() + 1
        jobs, _ = deliveries.due(connection, node=9, now=later, each=8, busy=())
        assert len(jobs) == 8

    def measure(connection):
        costs = []
        for lanes in (2 * REPLAY_PAGE, 10 * REPLAY_PAGE):
            fill(connection, lanes)
            # Of a node that is not there, whose deliveries nobody takes meanwhile.
            connection.execute("UPDATE deliveries SET node = 9")
            costs.append(work(connection))
        return costs

    async with running() as client:
        few, many = await client.bridge.events.database.run(measure)
    assert many <= 1.5 * few + 5
