"""Collecting the digits of a far party in a live call."""

import asyncio
from typing import Any

import pytest

from bridge.call import events
from bridge.call.digits import DigitRules
from bridge.errors import InvalidState
from bridge.node.calls.digits import Digits
from tests.support.fake_node import NUMBER, ONE, Node
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def node():
    node = Node()
    yield node
    await node.manager.aclose()


@pytest.fixture
async def digits(node):
    playbacks: Any = None
    digits = Digits(playbacks)
    node.manager.publisher.subscribe(digits.on_event)
    yield digits
    await digits.aclose()


async def active(node):
    runner = await node.manager.dial(ONE, NUMBER)
    far = node.legs[-1]
    await until(lambda: far.running)
    far.emit(events.LegAnswered(far.leg_id))
    far.emit(events.LegConnected(far.leg_id))
    return runner, far


async def test_what_the_far_party_presses_is_collected_and_published_once(node, digits):
    runner, far = await active(node)
    published: list[Any] = []
    node.manager.publisher.subscribe(published.append)
    await digits.collect(runner, DigitRules(max_digits=2))
    with pytest.raises(InvalidState, match="already"):
        await digits.collect(runner, DigitRules())
    for digit in "427":
        far.emit(events.DigitReceived(far.leg_id, digit))
    found = [event.data["digits"] for event in published if event.type == "digits.collected"]
    assert found == ["42"]


async def test_of_a_call_that_ends_meanwhile_nothing_is_published(node, digits):
    runner, far = await active(node)
    await digits.collect(runner, DigitRules(timeout_seconds=1.0))
    far.finish()
    await until(lambda: "call.ended" in node.happened)
    await asyncio.sleep(2.0)
    assert not {"digits.collected", "digits.failed"} & set(node.happened)


async def test_a_call_that_is_not_answered_has_no_digits(node, digits):
    runner = await node.manager.dial(ONE, NUMBER)
    with pytest.raises(InvalidState, match="digits need"):
        await digits.collect(runner, DigitRules())
