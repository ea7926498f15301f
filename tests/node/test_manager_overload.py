"""New calls while the node has too much to do, and what is kept of the quality of ended ones."""

import asyncio

import pytest

from bridge.call.model import LineName
from bridge.errors import LimitExceeded
from bridge.metrics.registry import Metrics
from bridge.settings.model import Limits
from tests.support.fake_leg import FakeLeg
from tests.support.fake_node import make_manager
from tests.support.sampling import sample_calls

LINE, NUMBER = LineName("one"), "15550100001"


class Node:
    """A manager whose load the test decides."""

    def __init__(self):
        self.busy = ""
        self.metrics = Metrics(version="0")
        limits = Limits(calls=9, kept_seconds=60.0)
        self.manager = make_manager(self, limits, self.metrics, overloaded=lambda: self.busy)

    def outbound_leg(self, call, number, channel, replaces=""):
        return FakeLeg("far", dials=True)

    def refused(self, reason):
        name = f'bridge_calls_refused_total{{reason="{reason}"}} '
        lines = self.metrics.render().decode().splitlines()
        return next(float(line[len(name) :]) for line in lines if line.startswith(name))


@pytest.fixture
async def node():
    made = Node()
    yield made
    made.busy = ""
    await made.manager.aclose()


async def test_an_overloaded_node_takes_no_new_calls_and_says_when_to_try_again(node):
    node.busy = "too much to do"
    for ask in (
        lambda: node.manager.dial(LINE, NUMBER),
        lambda: node.manager.receive(LINE, NUMBER, FakeLeg("far")),
        lambda: node.manager.open(LINE),
    ):
        with pytest.raises(LimitExceeded, match="too much to do") as refused:
            await ask()
        assert (refused.value.status, refused.value.retry_after) == (503, 5)
    assert node.refused("overload") == 3


async def test_an_overloaded_node_keeps_the_calls_it_has(node):
    runner = await node.manager.dial(LINE, NUMBER)
    node.busy = "too much to do"
    sample_calls(node.manager, asyncio.get_running_loop().time())
    assert runner.live


async def test_a_node_that_is_no_longer_overloaded_takes_calls_again(node):
    node.busy = "too much to do"
    with pytest.raises(LimitExceeded):
        await node.manager.dial(LINE, NUMBER)
    node.busy = ""
    assert (await node.manager.dial(LINE, NUMBER)).live


async def test_refusals_are_counted_by_their_reason(node):
    node.manager.admission.draining = True
    with pytest.raises(LimitExceeded):
        await node.manager.dial(LINE, NUMBER)
    assert (node.refused("draining"), node.refused("overload")) == (1, 0)


async def test_the_quality_of_a_call_is_in_memory_as_long_as_the_call_lives(node):
    runner = await node.manager.dial(LINE, NUMBER)
    call_id, now = runner.facts.call_id, asyncio.get_running_loop().time()
    sample_calls(node.manager, now)
    sample_calls(node.manager, now + 1.0)
    assert [len(leg.timeline) for leg in node.manager.quality.legs(call_id)] == [1]
    await node.manager.aclose()
    assert node.manager.quality.legs(call_id) == ()
