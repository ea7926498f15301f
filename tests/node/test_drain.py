"""The drain of a node: when it begins, what it waits for, when it is over."""

import asyncio

import pytest

from bridge.call import events
from bridge.errors import LimitExceeded
from bridge.node.drain import ANNOUNCE_SECONDS, Drain
from tests.support.fake_node import ONE, Node, dial

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def node():
    made = Node()
    yield made
    made.leave.set()
    await made.manager.aclose()


async def test_a_node_without_calls_is_done_at_once(node):
    drain = Drain(node.manager)
    drain.begin(60.0, "request")
    await asyncio.sleep(0.01)
    assert drain.done.is_set()


async def test_live_calls_go_on_new_ones_are_refused_and_the_end_of_the_last_is_the_end(node):
    drain, call_id = Drain(node.manager), await dial(node)
    begun = []
    drain.on_begin.append(lambda: begun.append(drain.reason))
    drain.begin(60.0, "request")
    assert begun == ["request"]
    with pytest.raises(LimitExceeded, match="shutting down"):
        await dial(node)
    await asyncio.sleep(20)
    assert (drain.active, drain.calls) == (True, 1)
    assert drain.seconds_left == pytest.approx(40.0)
    assert node.manager.live(ONE, call_id).live
    assert not drain.done.is_set()
    node.manager.request(ONE, call_id, events.HangupRequested())
    await asyncio.sleep(0.2)
    assert drain.done.is_set()


async def test_when_the_time_is_over_those_that_are_left_are_told(node):
    told = asyncio.Event()

    async def tell():
        await asyncio.sleep(3)
        told.set()

    drain = Drain(node.manager)
    drain.announce = tell
    await dial(node)
    drain.begin(30.0, "signal")
    await asyncio.sleep(32)
    assert not drain.done.is_set()
    await asyncio.sleep(2)
    assert (told.is_set(), drain.done.is_set()) == (True, True)


async def test_nobody_is_told_for_longer_than_the_limit(node):
    drain = Drain(node.manager)
    drain.announce = asyncio.Event().wait
    await dial(node)
    drain.begin(1.0, "signal")
    await asyncio.sleep(1.5 + ANNOUNCE_SECONDS)
    assert drain.done.is_set()


async def test_a_telling_that_fails_does_not_hold_up_the_end(node):
    async def tell():
        raise RuntimeError("no sound")

    drain = Drain(node.manager)
    drain.announce = tell
    await dial(node)
    drain.begin(1.0, "signal")
    await asyncio.sleep(2)
    assert drain.done.is_set()


async def test_no_time_at_all_is_the_end_at_once_and_nobody_is_told(node):
    drain = Drain(node.manager)
    await dial(node)
    drain.begin(0.0, "signal")
    assert drain.done.is_set()


async def test_without_a_time_it_waits_for_the_calls_alone(node):
    drain = Drain(node.manager)
    await dial(node)
    drain.begin(None, "upgrade")
    await asyncio.sleep(40)
    assert (drain.done.is_set(), drain.seconds_left) == (False, None)
    drain.begin(5.0, "signal")
    await asyncio.sleep(6)
    assert (drain.done.is_set(), drain.reason) == (True, "upgrade")


async def test_it_can_be_ended_at_any_time(node):
    drain = Drain(node.manager)
    await dial(node)
    drain.begin(30.0, "signal")
    drain.end("signal")
    assert drain.done.is_set()
    await drain.aclose()


async def test_where_others_take_the_new_calls_those_being_begun_are_finished(node):
    drain = Drain(node.manager, others=lambda: True, finish_seconds=1.0)
    drain.begin(None, "upgrade")
    assert node.manager.admission.draining
    await dial(node)
    await asyncio.sleep(1.1)
    with pytest.raises(LimitExceeded, match="shutting down"):
        await dial(node)
    assert not drain.done.is_set()
