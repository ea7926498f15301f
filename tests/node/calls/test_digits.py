"""Collecting the digits of a far party in a live call."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bridge.call import events
from bridge.call.digits import DigitRules
from bridge.call.model import LegKind, Party
from bridge.call.routing import LegRole
from bridge.errors import InvalidState
from bridge.media.sounds import Sound
from bridge.node.calls.digits import Digits
from tests.support.fake_leg import FakeLeg
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


class Prompts:
    """Plays prompts that last."""

    def __init__(self):
        self.leg = FakeLeg("prompt", LegKind.PLAYBACK)

    async def play(self, runner, _):
        runner.add_leg(self.leg, LegRole(Party.SERVICE))
        return self.leg.leg_id


async def test_after_a_prompt_that_is_lost_the_time_for_a_digit_runs(node):
    prompts: Any = Prompts()
    digits = Digits(prompts)
    node.manager.publisher.subscribe(digits.on_event)
    runner, _ = await active(node)
    await digits.collect(runner, DigitRules(timeout_seconds=2.0), prompt=Sound(Path("prompt.wav")))
    await asyncio.sleep(5.0)
    assert "digits.failed" not in node.happened
    await until(lambda: prompts.leg.running)
    prompts.leg.finish()
    await until(lambda: "digits.failed" in node.happened)
    await digits.aclose()
