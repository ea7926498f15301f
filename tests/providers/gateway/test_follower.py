import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.errors import LegError
from bridge.providers.gateway.follower import GatewayFollower
from bridge.tasks import Tasks
from bridge.wire.gateway import Webhook
from tests.support.waiting import until
from tests.support.whatsapp.gateway_lists import (
    ACTIVE,
    RINGS,
    ListingEngine,
    Notes,
    ToldLeg,
    more_polls,
)


@asynccontextmanager
async def following(gateway, *, poll_seconds=0.005, memory: Any = None, take=None, standby=False):
    notes: Any = memory or Notes()
    follower = GatewayFollower(gateway, memory=notes, poll_seconds=poll_seconds)
    follower.take, follower.first = take, lambda: not standby
    tasks = Tasks()
    tasks.spawn(follower.run(), name="follower")
    try:
        yield follower
    finally:
        await tasks.aclose()


@pytest.mark.virtual_time
async def test_a_leg_is_told_of_its_call_until_it_is_listed_no_more():
    gateway, leg = ListingEngine(ACTIVE), ToldLeg()
    async with following(gateway) as follower:
        follower.follow("CA1", leg)
        await until(lambda: leg.told)
        assert leg.told[0] == ACTIVE
        gateway.listed.clear()
        await until(lambda: leg.told[-1] is None)


@pytest.mark.virtual_time
async def test_a_fresh_call_may_be_missing_from_the_list_for_five_seconds():
    gateway, leg = ListingEngine(), ToldLeg()
    now = asyncio.get_running_loop().time
    async with following(gateway) as follower:
        began = now()
        follower.follow("CA1", leg)
        await more_polls(gateway)
        assert leg.told == []
        await until(lambda: leg.told, timeout=10)
        assert leg.told == [None]
        assert 5.0 <= now() - began < 5.5


@pytest.mark.virtual_time
async def test_a_call_that_the_engine_has_shown_is_gone_when_it_is_not_listed():
    gateway, leg = ListingEngine(), ToldLeg()
    async with following(gateway) as follower:
        follower.follow("CA1", leg)
        follower.mark_known("CA1")
        await until(lambda: None in leg.told)


@pytest.mark.virtual_time
async def test_an_engine_that_does_not_answer_ends_nothing():
    gateway, leg = ListingEngine(ACTIVE), ToldLeg()
    async with following(gateway) as follower:
        follower.follow("CA1", leg)
        await until(lambda: leg.told)
        gateway.fails = LegError("down")
        await more_polls(gateway)
        gateway.fails = None
        await more_polls(gateway)
        assert set(leg.told) == {ACTIVE}


@pytest.mark.virtual_time
async def test_nothing_is_polled_without_a_reason():
    gateway = ListingEngine()
    async with following(gateway) as follower:
        await until(lambda: gateway.polls == 1)
        await asyncio.sleep(60)
        assert gateway.polls == 1
        follower.poll_now()
        await until(lambda: gateway.polls == 2)


@pytest.mark.virtual_time
async def test_a_call_that_was_not_hung_up_is_tried_again_until_it_is_gone():
    gateway = ListingEngine(ACTIVE)
    async with following(gateway) as follower:
        follower.forget("CA1", unwanted=True)
        await until(lambda: len(gateway.hung_up) >= 2)
        gateway.listed.clear()
        await more_polls(gateway, 1)
        await asyncio.sleep(1)
        count, polls = len(gateway.hung_up), gateway.polls
        await asyncio.sleep(60)
        assert (len(gateway.hung_up), gateway.polls) == (count, polls)


@pytest.mark.virtual_time
async def test_an_event_is_noted_by_its_calls_leg_and_triggers_a_poll():
    gateway, leg, other = ListingEngine(ACTIVE), ToldLeg(), ToldLeg()
    async with following(gateway, poll_seconds=60) as follower:
        follower.follow("CA1", leg)
        follower.follow("CA9", other)
        await until(lambda: leg.told)
        await asyncio.sleep(1)
        polls = gateway.polls
        follower.handle_event(Webhook("reject", frozenset({"CA1", "v1.call.reject"})))
        await until(lambda: gateway.polls > polls)
        assert (leg.hints, other.hints) == (["reject"], [])


@pytest.mark.virtual_time
async def test_a_list_that_is_empty_for_a_moment_ends_nothing():
    gateway, leg = ListingEngine(ACTIVE), ToldLeg()
    async with following(gateway) as follower:
        follower.follow("CA1", leg)
        await until(lambda: leg.told)
        for _ in range(3):
            gateway.hides = 1
            await more_polls(gateway, 3)
        assert set(leg.told) == {ACTIVE}
        gateway.hides = 2
        await until(lambda: None in leg.told)


@pytest.mark.virtual_time
async def test_calls_that_end_are_remembered_no_more():
    gateway, leg, notes = ListingEngine(ACTIVE, RINGS), ToldLeg(), Notes()
    gateway.ends = True
    async with following(gateway, memory=notes) as follower:
        follower.follow("CA1", leg)
        follower.forget("CA1", unwanted=False)
        assert notes.over == ["CA1"]
        follower.forget("CA2", unwanted=True)
        await until(lambda: notes.over == ["CA1", "CA2"])
        assert gateway.hung_up == ["CA2"]


@pytest.mark.virtual_time
async def test_of_what_a_forerunner_left_rings_are_taken_and_the_rest_is_hung_up():
    taken, notes = [], Notes()

    async def take(call):
        taken.append(call.call_id)

    gateway = ListingEngine(ACTIVE, RINGS)
    gateway.ends = True
    async with following(gateway, memory=notes, take=take) as follower:
        follower.recover(["CA1", "CA2", "CA3"])
        await until(lambda: set(notes.over) == {"CA1", "CA3"})
        await until(lambda: "CA2" in taken)
        assert notes.released == ["CA2"]
        assert gateway.hung_up == ["CA1"]


@pytest.mark.virtual_time
async def test_the_second_node_takes_only_what_goes_on_ringing():
    taken = []

    async def take(call):
        taken.append(call.call_id)

    gateway = ListingEngine(RINGS)
    async with following(gateway, take=take, standby=True, poll_seconds=30) as follower:
        for _ in range(3):
            follower.poll_now()
            await more_polls(gateway, 1)
        assert taken == []
    async with following(gateway, take=take, standby=True):
        await until(lambda: taken == ["CA2"])


@pytest.mark.virtual_time
async def test_a_ring_that_could_not_be_taken_is_tried_again():
    tries = []

    async def take(call):
        tries.append(call.call_id)
        if len(tries) == 1:
            raise LegError("for now")

    async with following(ListingEngine(RINGS), take=take):
        await until(lambda: len(tries) == 2)
