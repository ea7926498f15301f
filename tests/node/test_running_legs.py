"""The legs of a call that run, and the figures of those that left."""

import asyncio

import pytest

from bridge.call.bus.bus import Bus
from bridge.call.model import LegId, LegKind, LegOwner, Party
from bridge.call.routing import LegRole
from bridge.errors import LimitExceeded
from bridge.node.running_legs import KEPT_LEGS, LEGS_PER_CALL, RunningLegs
from tests.support.fake_leg import FakeLeg

NEAR = LegRole(Party.NEAR, owner=LegOwner("near", "ann"))


async def nothing() -> None:
    """A leg's task that is done at once."""


def add(legs: RunningLegs, name: str) -> None:
    task = asyncio.get_running_loop().create_task(nothing())
    legs.add(FakeLeg(name, LegKind.WEBRTC), NEAR, task)


async def test_a_leg_that_left_keeps_its_figures():
    seconds = iter([1.0, 4.0])
    legs = RunningLegs(Bus(), lambda: next(seconds))
    add(legs, "ann")
    assert legs.remove(LegId("ann")) is not None
    (figures,) = legs.all_figures()
    assert (figures.identity, figures.joined, figures.left) == ("ann", 1.0, 4.0)
    assert legs.figures() == []


async def test_a_call_has_no_more_legs_than_it_may():
    legs = RunningLegs(Bus(), lambda: 0.0)
    for number in range(LEGS_PER_CALL):
        legs.check_room()
        add(legs, str(number))
    with pytest.raises(LimitExceeded):
        legs.check_room()


async def test_the_figures_of_the_oldest_leg_that_left_are_dropped():
    legs = RunningLegs(Bus(), lambda: 0.0)
    for number in range(KEPT_LEGS + 1):
        add(legs, str(number))
        legs.remove(LegId(str(number)))
    assert next(figures.leg_id for figures in legs.all_figures()) == "1"
