"""Turns of calls that pass to another process or machine."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from tests.support.handover.moving_calls import MovingCalls, moving_calls
from tests.support.peers.talker import Talker
from tests.support.published import Published
from tests.support.waiting import until

# tests/node/test_portable_call.py shows at each test that turns are numbered on.
pytestmark = [pytest.mark.virtual_time, pytest.mark.full]


@asynccontextmanager
async def a_moving_call():
    """A call of a person in a browser with a bot in another, which has had a turn."""
    async with moving_calls() as calls, Talker(ssrc=1) as person, Talker(ssrc=2) as bot:
        published = Published()
        for one in calls.clients:
            one.bridge.manager.publisher.subscribe(published.events.append)
        call_id = (await calls.client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        await bot.call(calls.client.exchange(call_id, machine=True))
        await person.call(calls.client.exchange(call_id, party="far"))
        await calls.client.until_state(call_id, "active")
        talks = [asyncio.create_task(one.talk()) for one in (person, bot)]
        await asyncio.sleep(1)
        await ask(person)
        await answer(bot)
        await until(lambda: published.of("turn"))
        yield calls, call_id, person, bot, published
        for talk in talks:
            talk.cancel()


async def ask(person):
    person.say(1.0)
    await asyncio.sleep(1.2)


async def answer(bot):
    bot.say(1.0)
    await asyncio.sleep(2.5)


async def moved(calls: MovingCalls, call_id: str, *, crashes: bool) -> None:
    if crashes:
        await calls.crash(call_id, calls.copy(call_id))
    else:
        await calls.move(call_id)


@pytest.mark.parametrize("crashes", [False, True])
async def test_turns_are_numbered_on_in_another_process(crashes):
    async with a_moving_call() as (calls, call_id, person, bot, published):
        await moved(calls, call_id, crashes=crashes)
        await ask(person)
        await answer(bot)
        await until(lambda: len(published.of("turn")) == 2)
        assert [turn["turn"] for turn in published.of("turn")] == [1, 2]


async def test_what_was_asked_before_is_answered_in_another_process():
    async with a_moving_call() as (calls, call_id, person, bot, published):
        await ask(person)
        await asyncio.sleep(0.5)
        await calls.move(call_id)
        await asyncio.sleep(0.5)
        await answer(bot)
        await until(lambda: len(published.of("turn")) == 2)
        turn = published.of("turn")[1]
        assert turn["waitMs"] - turn["parts"]["toCaller"] == pytest.approx(1200, abs=60)
        assert turn["speechMs"] == pytest.approx(1000, abs=60)


async def test_an_answer_that_goes_on_in_another_process_is_one():
    async with a_moving_call() as (calls, call_id, person, bot, published):
        await ask(person)
        bot.say(1.0)
        await asyncio.sleep(0.5)
        await calls.move(call_id)
        await asyncio.sleep(2.0)
        await until(lambda: len(published.of("turn")) == 2)
        turn = published.of("turn")[1]
        assert turn["waitMs"] - turn["parts"]["toCaller"] == pytest.approx(200, abs=60)
        assert turn["answerMs"] == pytest.approx(1000, abs=100)
