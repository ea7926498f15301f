"""The legs of a call that run, and the figures of those that left."""

import asyncio
from collections.abc import Callable

import pytest

from bridge.call.bus.bus import Bus
from bridge.call.limits import CallLimits
from bridge.call.machine import CallMachine
from bridge.call.model import Direction, LegId, LegKind, LegOwner, Party
from bridge.call.routing import LegRole
from bridge.errors import LimitExceeded
from bridge.metrics.registry import Metrics
from bridge.node.running_legs import KEPT_LEGS, LEGS_PER_CALL, RunningLegs
from bridge.node.speech.held_speech import HeldSpeech
from bridge.node.turns.meters import TurnMeters
from tests.support.fake_leg import FakeLeg

NEAR = LegRole(Party.NEAR, owner=LegOwner("near", "ann"))


def running_legs(seconds: Callable[[], float]) -> RunningLegs:
    bus, metrics = Bus(), Metrics(version="0").turns
    turns = TurnMeters(bus, publish=lambda *_: None, metrics=metrics, enabled=True)
    machine = CallMachine(direction=Direction.INBOUND, limits=CallLimits(60.0, 60.0, 60.0), now=0.0)
    return RunningLegs(bus, seconds, turns, HeldSpeech(machine, lambda rows: None))


async def nothing() -> None:
    """A leg's task that is done at once."""


def add(legs: RunningLegs, name: str) -> None:
    task = asyncio.get_running_loop().create_task(nothing())
    legs.add(FakeLeg(name, LegKind.WEBRTC), NEAR, task)


async def test_a_leg_that_left_keeps_its_figures():
    seconds = iter([1.0, 4.0])
    legs = running_legs(lambda: next(seconds))
    add(legs, "ann")
    assert legs.remove(LegId("ann")) is not None
    (figures,) = legs.all_figures()
    assert (figures.identity, figures.joined, figures.left) == ("ann", 1.0, 4.0)
    assert legs.figures() == []


async def test_a_call_has_no_more_legs_than_it_may():
    legs = running_legs(lambda: 0.0)
    for number in range(LEGS_PER_CALL):
        legs.check_room()
        add(legs, str(number))
    with pytest.raises(LimitExceeded):
        legs.check_room()


async def test_the_figures_of_the_oldest_leg_that_left_are_dropped():
    legs = running_legs(lambda: 0.0)
    for number in range(KEPT_LEGS + 1):
        add(legs, str(number))
        legs.remove(LegId(str(number)))
    assert next(figures.leg_id for figures in legs.all_figures()) == "1"
