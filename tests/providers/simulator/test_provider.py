"""Reaching numbers through the simulated contacts."""

import pytest

from bridge.call.model import CallId, LegId, LineName
from bridge.errors import Unreachable
from bridge.legs.dial import DialOrder
from bridge.providers.simulator.provider import SimulatorProvider

LINE = LineName("demo")


async def refusal(number: str) -> str:
    provider = SimulatorProvider(frozenset({LINE}), speech=b"", ring_seconds=1.0)
    with pytest.raises(Unreachable) as caught:
        await provider.dial(LINE, number, LegId("leg_1"), DialOrder(CallId("A" * 32)))
    return str(caught.value)


async def test_a_number_that_nobody_has_is_answered_with_those_that_there_are():
    assert "15550100001 to 15550100009" in await refusal("4917012345678")


async def test_the_contact_that_is_out_of_reach_is_just_that():
    assert await refusal("15550100006") == "the number cannot be reached"
