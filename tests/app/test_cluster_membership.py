"""Whole bridges that share a PostgreSQL database: what becomes of the calls of one that stops."""

import asyncio
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec
import pytest

from bridge.app import cluster
from bridge.app.bridge import Bridge
from bridge.call.model import LineName
from bridge.cluster.leases import Leased
from bridge.cluster.siblings import IDENTITY_PATH, Siblings
from bridge.cluster.timing import ClusterTiming
from bridge.settings.model import Data
from bridge.wire.call_event import EventType
from tests.support.inprocess import built, settings
from tests.support.waiting import until_answer

pytestmark = pytest.mark.postgresql

DEMO = LineName("demo")
NEVER_ANSWERS = "15550100003"


class Node(NamedTuple):
    bridge: Bridge
    members: Leased

    async def events(self, kind):
        log = self.bridge.events.log
        await log.flush()
        return [event for _, event in await log.read(0, DEMO) if event.type == kind]


@asynccontextmanager
async def node(url, folder, *, answer=1.0):
    folder.mkdir()
    chosen = msgspec.structs.replace(settings(), data=Data(dir=str(folder), url=url))
    timing = ClusterTiming(heartbeat=0.25, answer=answer)
    members = await cluster.join(chosen, machine=folder.name, timing=timing)
    bridge = built(chosen, None, members=members)
    cluster.attach(members, bridge)
    try:
        yield Node(bridge, members)
    finally:
        await bridge.aclose()
        await bridge.release()
        await members.aclose()


@pytest.fixture
def url(postgres_server):
    """A database of its own for the test."""
    with postgres_server.database() as name:
        yield postgres_server.url(name)


async def test_the_calls_of_a_node_that_stops_end_once_and_it_says_nothing_when_it_wakes(
    url, tmp_path
):
    async with node(url, tmp_path / "a") as lost, node(url, tmp_path / "b") as other:
        call = await lost.bridge.manager.dial(DEMO, NEVER_ANSWERS)
        kept = await other.bridge.manager.dial(DEMO, NEVER_ANSWERS)
        assert call.facts.call_id.startswith("00")
        assert kept.facts.call_id.startswith("01")
        assert len(await other.events(EventType.CALL_INITIATED)) == 2
        await lost.members._tasks.aclose()

        async def ended():
            return bool(await other.events(EventType.CALL_ENDED))

        await until_answer(ended, timeout=20)
        [end] = await other.events(EventType.CALL_ENDED)
        assert (end.call.id, end.call.reason) == (call.facts.call_id, "node_lost")
        found = await other.bridge.records.history.find(DEMO, call.facts.call_id)
        assert found is not None
        # It was only paused, and goes on.
        await lost.bridge.manager.aclose()
        await lost.events(EventType.CALL_ENDED)
        await lost.members.look()
        assert lost.members.fenced.is_set()
        async with asyncio.timeout(5):
            await lost.bridge.drain.done.wait()
        assert len(await other.events(EventType.CALL_ENDED)) == 1
        assert kept.live


async def test_a_node_asks_the_others_once_it_has_started(url, tmp_path, monkeypatch):
    asked = []

    async def ask(_, path, *__):
        asked.append(path)
        return {}

    monkeypatch.setattr(Siblings, "request_all", ask)

    async def identity_asked():
        return IDENTITY_PATH in asked

    async with node(url, tmp_path / "a", answer=0.01):
        await until_answer(identity_asked, timeout=20)
