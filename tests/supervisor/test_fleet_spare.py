"""Which nodes get the spare, and when there is another; without processes."""

import asyncio

import pytest

from bridge.supervisor import fleet as fleet_module
from bridge.supervisor.fleet import Fleet
from bridge.supervisor.spare import Spare
from bridge.wire.supervision import Spares
from tests.supervisor.fake_child import FakeChildren
from tests.supervisor.fake_process import FakeProcess
from tests.supervisor.test_fleet import of_two

pytestmark = pytest.mark.virtual_time


class Running:
    """A fleet of two with a spare."""

    def __init__(self) -> None:
        self.children = FakeChildren()
        self.nodes = FakeProcess.all
        spare = Spare([5], start=self.children.start, limit=lambda: None)  # type: ignore[arg-type]
        self.fleet = Fleet(of_two(spare=True), [5], spare)
        self.task = asyncio.create_task(self.fleet.run())

    @property
    def spares(self):
        return self.children.made

    async def get_ready(self) -> None:
        """Let all that is being started get ready: nodes, then the spare."""
        await asyncio.sleep(1)
        for node in self.nodes:
            if not node.ended.done():
                node.get_ready()
        await asyncio.sleep(1)
        self.spares[-1].get_ready()
        await asyncio.sleep(1)

    def kill(self, node: int) -> None:
        self.nodes[node].leave("call")
        self.nodes[node].end()


@pytest.fixture
async def running(monkeypatch):
    monkeypatch.setattr(FakeProcess, "all", [], raising=False)
    monkeypatch.setattr(fleet_module, "NodeProcess", FakeProcess)
    made = Running()
    yield made
    made.fleet.stop()
    await made.task
    await asyncio.sleep(0)
    for child in made.spares:
        if not child.closed:
            child.close()


async def test_it_is_started_when_all_nodes_are_ready_and_they_are_told_when_it_is(running):
    await asyncio.sleep(100)
    running.nodes[0].get_ready()
    await asyncio.sleep(100)
    assert running.spares == []
    await running.get_ready()
    assert len(running.spares) == 1
    assert [node.roster().spares for node in running.nodes] == [1, 1]
    assert running.fleet.spares() == Spares(ready=1)


async def test_the_next_process_of_a_node_that_dies_is_the_spare_and_another_follows(running):
    await running.get_ready()
    running.kill(1)
    await asyncio.sleep(0.1)
    assert running.nodes[2].spare is running.spares[0]
    assert running.nodes[2].slot.inherited
    assert (len(running.spares), running.nodes[0].roster().spares) == (1, 0)
    await running.get_ready()
    assert len(running.spares) == 2
    running.kill(2)
    await asyncio.sleep(0.1)
    assert running.nodes[3].spare is running.spares[1]


async def test_of_two_nodes_that_die_at_once_one_gets_it_and_one_is_started_as_ever(running):
    await running.get_ready()
    running.kill(0)
    running.kill(1)
    await asyncio.sleep(0.1)
    assert [node.spare for node in running.nodes[2:]] == [running.spares[0], None]
    assert all(node.started for node in running.nodes[2:])
    await running.get_ready()
    assert len(running.spares) == 2


async def test_a_node_that_dies_while_the_spare_starts_does_not_wait_for_it(running):
    await asyncio.sleep(1)
    for node in running.nodes:
        node.get_ready()
    await asyncio.sleep(1)
    running.kill(0)
    await asyncio.sleep(0.1)
    assert running.nodes[2].started
    assert running.nodes[2].spare is None
    await running.get_ready()
    assert len(running.spares) == 1
    running.kill(2)
    await asyncio.sleep(0.1)
    assert running.nodes[3].spare is running.spares[0]


async def test_a_node_without_calls_gets_it_too(running):
    await running.get_ready()
    running.nodes[1].end()
    await asyncio.sleep(1)
    assert running.nodes[2].spare is running.spares[0]


async def test_an_upgrade_replaces_it_once_the_new_nodes_are_there(running):
    await running.get_ready()
    upgrade = asyncio.create_task(
        running.fleet.upgrade(of_two(spare=True), None, lambda _text: None)
    )
    await asyncio.sleep(1)
    assert [node.spare for node in running.nodes[2:]] == [None, None]
    assert not running.spares[0].closed
    for node in running.nodes[2:]:
        node.get_ready()
    await upgrade
    await running.get_ready()
    assert [spare.closed for spare in running.spares] == [True, False]
    running.kill(2)
    await asyncio.sleep(0.1)
    assert running.nodes[4].spare is running.spares[1]


async def test_an_upgrade_that_fails_leaves_it(running):
    await running.get_ready()
    upgrade = asyncio.create_task(
        running.fleet.upgrade(of_two(spare=True), None, lambda _text: None)
    )
    await asyncio.sleep(1)
    running.nodes[2].get_ready()
    running.nodes[3].end()
    with pytest.raises(fleet_module.UpgradeFailed):
        await upgrade
    running.kill(0)
    await asyncio.sleep(0.1)
    assert running.nodes[-1].spare is running.spares[0]


async def test_it_ends_with_the_nodes(running):
    await running.get_ready()
    running.fleet.drain(60.0, "signal")
    await asyncio.sleep(0.1)
    assert running.spares[0].closed
