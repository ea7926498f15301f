"""A call's bus is on the clock as long as a sink needs it."""

import asyncio

from typing_extensions import override

from bridge.call.model import LegId
from bridge.call.routing import TONE
from bridge.node.clock import BusClock, Clock
from tests.support.fake_leg import FakeLeg

ANN, BOB, FAR = (LegId(name) for name in ("ann", "bob", "far"))


class Members(Clock):
    """A clock that only notes who is on it."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())
        self.ticks: list[object] = []

    @override
    def join(self, tick, *, batched=False) -> None:
        self.ticks.append(tick)

    @override
    def leave(self, tick) -> None:
        self.ticks.remove(tick)


async def test_a_bus_nobody_listens_to_keeps_off_the_clock():
    clock = Members()
    BusClock(clock).follow()
    assert clock.ticks == []


async def test_a_sink_that_hears_two_puts_its_bus_on_the_clock_until_it_leaves():
    clock, now = Members(), asyncio.get_running_loop().time()
    bus_clock = BusClock(clock)
    for leg in (FakeLeg(ANN), FakeLeg(BOB), FakeLeg(FAR)):
        bus_clock.bus.join(leg.leg_id, leg.source, leg.sink)
    bus_clock.bus.route({FAR: frozenset({ANN, BOB}), ANN: frozenset(), BOB: frozenset()}, now)
    bus_clock.follow()
    assert clock.ticks == [bus_clock.bus.tick]
    bus_clock.bus.leave(FAR, now)
    bus_clock.follow()
    assert clock.ticks == []


async def test_the_ring_back_tone_is_heard_while_a_row_has_it():
    bus_clock, ann = BusClock(Members()), FakeLeg(ANN)
    bus_clock.bus.join(ANN, ann.source, ann.sink)
    bus_clock.route({ANN: frozenset({TONE})})
    now = asyncio.get_running_loop().time()
    for _ in range(5):
        bus_clock.bus.tick(now)
    assert any(frame.pcm.strip(b"\0") for frame in ann.heard)
    bus_clock.route({ANN: frozenset()})
    ann.heard.clear()
    bus_clock.bus.tick(now)
    assert ann.heard == []
