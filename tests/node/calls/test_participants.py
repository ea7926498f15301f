"""Far parties that join a live call, and parties that are removed."""

import pytest

from bridge.call import events
from bridge.call.model import LegId, State
from bridge.errors import InvalidState, LegNotFound
from bridge.node.calls.participants import add_participant, remove_participant
from tests.node.calls.test_holds import active
from tests.support.fake_node import NUMBER, ONE, Node
from tests.support.waiting import until


@pytest.fixture
async def node():
    node = Node()
    yield node
    await node.manager.aclose()


async def joined(node, runner):
    leg_id = await add_participant(node.manager, runner, "15550100002")
    leg = node.legs[-1]
    await until(lambda: leg.running)
    leg.emit(events.LegAnswered(leg_id))
    leg.emit(events.LegConnected(leg_id))
    return leg_id


async def test_a_party_joins_and_is_removed(node):
    runner, _ = await active(node)
    leg_id = await joined(node, runner)
    assert len(runner.machine.legs.far_parties()) == 2
    assert node.happened.count("call.initiated") == 1
    remove_participant(runner, leg_id)
    assert len(runner.machine.legs.far_parties()) == 1
    assert runner.machine.state is State.ACTIVE


async def test_the_party_that_the_call_began_with_may_leave_it(node):
    runner, first = await active(node)
    await joined(node, runner)
    remove_participant(runner, first)
    assert runner.machine.state is State.ACTIVE


async def test_the_last_far_party_is_not_removed(node):
    runner, first = await active(node)
    with pytest.raises(InvalidState, match="hang up the call"):
        remove_participant(runner, first)


async def test_nobody_joins_a_call_that_rings(node):
    runner = await node.manager.dial(ONE, NUMBER)
    with pytest.raises(InvalidState, match="answered call"):
        await add_participant(node.manager, runner, "15550100002")


async def test_a_party_that_is_not_there_is_not_removed(node):
    runner, _ = await active(node)
    with pytest.raises(LegNotFound):
        remove_participant(runner, LegId("nobody"))
