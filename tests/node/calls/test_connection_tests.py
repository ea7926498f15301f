"""Test calls: limited in number, and without a trace among the calls of the line."""

import pytest

from bridge.call import events
from bridge.errors import CallNotFound, LimitExceeded, TooManyTests
from bridge.node.calls.connection_tests import TEST_SECONDS, ConnectionTests
from tests.support.fake_node import ONE, TWO, Node, dial
from tests.support.sampling import sample_calls

NOW = 0.0


async def answered(node: Node):
    """Begin a test call that is answered at once."""
    runner = await ConnectionTests(node.manager, per_line=2).open(ONE)
    far = node.legs[-1]
    far.emit(events.LegAnswered(far.leg_id))
    far.emit(events.LegConnected(far.leg_id))
    assert runner.machine.state == "active"
    return runner


async def test_a_test_call_has_no_events_and_is_neither_listed_nor_kept():
    node = Node()
    runner = await answered(node)
    sample_calls(node.manager, NOW)
    assert await node.manager.list(ONE) == []
    runner.dispatch(events.HangupRequested())
    with pytest.raises(CallNotFound):
        node.manager.record(ONE, runner.facts.call_id)
    assert node.manager.diagnoses.find(runner.facts.call_id) is None
    assert node.manager.quality.legs(runner.facts.call_id) == ()
    assert node.happened == []
    assert node.figure("bridge_calls_started_total") == 0
    assert node.figure("bridge_calls_ended_total") == 0
    assert node.figure("bridge_call_problems_total") == 0
    await node.manager.aclose()


async def test_a_test_call_ends_by_itself():
    node = Node()
    runner = await answered(node)
    assert runner.machine.answered_at is not None
    assert runner.machine.deadline() == runner.machine.answered_at + TEST_SECONDS
    await node.manager.aclose()


async def test_a_line_has_so_many_test_calls_at_once():
    node = Node()
    tests = ConnectionTests(node.manager, per_line=1)
    runner = await tests.open(ONE)
    with pytest.raises(TooManyTests, match=r"limits\.tests_per_line"):
        await tests.open(ONE)
    await tests.open(TWO)
    runner.dispatch(events.HangupRequested())
    await tests.open(ONE)
    await node.manager.aclose()


async def test_a_test_call_takes_the_place_of_a_call():
    node = Node()
    tests = ConnectionTests(node.manager, per_line=9)
    for _ in range(node.manager.admission.quota.total):
        await tests.open(ONE)
    with pytest.raises(LimitExceeded, match=r"limits\.calls"):
        await dial(node)
    await node.manager.aclose()
