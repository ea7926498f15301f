"""Turns of bots that are WebRTC peers, on a virtual clock and over sockets."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, SILENCE, Frame
from bridge.node.turns.peer_meter import Side
from bridge.settings.model import Media, Turns
from tests.support.inprocess import running, settings
from tests.support.peers.talker import Talker
from tests.support.published import Published
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time


@asynccontextmanager
async def a_call_with_a_peer(*, machine: bool = True, **changed):
    """A call of a person in a browser with a bot in another."""
    async with (
        running(settings(**changed)) as client,
        Talker(ssrc=1) as person,
        Talker(ssrc=2) as bot,
    ):
        published = Published()
        client.bridge.manager.publisher.subscribe(published.events.append)
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        await bot.call(client.exchange(call_id, machine=machine))
        await person.call(client.exchange(call_id, party="far"))
        await client.until_state(call_id, "active")
        talks = [asyncio.create_task(one.talk()) for one in (person, bot)]
        await asyncio.sleep(1)
        yield client, call_id, person, bot, published
        for talk in talks:
            talk.cancel()


async def ask(person, bot, delay):
    """Let the person speak for a second, and the bot answer after a delay."""
    person.say(1.0)
    await asyncio.sleep(1.0 + delay)
    bot.say(1.0)
    await asyncio.sleep(2.5)


def side_of(arrivals, *, epoch=1, side=None):
    side = side or Side()
    for number, now in enumerate(arrivals):
        side.push(Frame(bytes([number]) * 640, number * FRAME_SAMPLES, epoch), now, 0.0)
    return side


def test_frames_are_measured_as_if_they_had_come_without_jitter():
    side = side_of([5.0, 5.035, 5.041, 5.07])
    assert [at for _, at in side.frames] == pytest.approx([5.0, 5.02, 5.04, 5.06])


def test_another_epoch_has_its_own_arrivals():
    side = side_of([5.0, 5.02])
    side_of([7.5, 7.53], epoch=2, side=side)
    assert [at for _, at in side.frames] == pytest.approx([5.0, 5.02, 7.5, 7.52])


def test_one_frame_is_taken_every_20_ms_although_their_clocks_differ():
    side = side_of([5.0 + 0.0199 * number for number in range(200)])
    taken = [len(side.take(5.0 + FRAME_SECONDS * step)) for step in range(199)]
    assert set(taken) == {1}


def test_frames_that_are_overdue_are_taken_at_once():
    side = side_of([5.0, 5.02, 5.04, 5.06])
    assert len(side.take(5.07)) == 3


def test_a_side_without_frames_is_silent_after_60_ms():
    side = side_of([5.0])
    taken = [side.take(5.0 + FRAME_SECONDS * step) for step in range(5)]
    assert [len(one) for one in taken] == [1, 0, 0, 0, 1]
    assert taken[4] == [(SILENCE, pytest.approx(5.08))]


@pytest.mark.parametrize("relay", [True, pytest.param(False, marks=pytest.mark.full)])
async def test_what_a_person_waits_for_a_peer_that_is_a_bot_is_published(relay):
    media = Media(passthrough=relay)
    async with a_call_with_a_peer(media=media) as (client, call_id, person, bot, published):
        await ask(person, bot, 0.5)
        await ask(person, bot, 1.5)
        await until(lambda: len(published.of("turn")) == 2)
        shown = (await client.data_of(f"/calls/{call_id}/turns"))["turns"]
        assert [turn["bot"] for turn in shown] == ["webrtc", "webrtc"]
        way = shown[0]["parts"]["toCaller"]
        waits = [turn["waitMs"] - way for turn in shown]
        assert waits == pytest.approx([500, 1500], abs=40)
        assert [turn["speechMs"] for turn in shown] == pytest.approx([1000, 1000], abs=60)
        roads = {leg["road"] for leg in (await client.quality(call_id))["legs"]}
        assert roads == {"relay" if relay else "pcm"}


@pytest.mark.full
async def test_a_peer_that_is_no_machine_is_not_measured():
    async with a_call_with_a_peer(machine=False) as (_, _, person, bot, published):
        await ask(person, bot, 0.5)
        assert published.of("turn") == []


@pytest.mark.full
async def test_a_peer_is_not_measured_where_turns_are_off():
    off = Turns(enabled=False)
    async with a_call_with_a_peer(turns=off) as (_, _, person, bot, published):
        await ask(person, bot, 0.5)
        assert published.of("turn") == []


@pytest.mark.full
async def test_what_nobody_hears_of_a_bot_is_no_answer():
    async with a_call_with_a_peer() as (client, call_id, person, bot, published):
        await client.data("/call/mute", {"callId": call_id, "muted": True})
        await ask(person, bot, 0.5)
        assert published.of("turn") == []


@pytest.mark.full
async def test_the_turn_that_a_peer_cuts_off_by_leaving_is_published():
    async with a_call_with_a_peer() as (_, _, person, bot, published):
        person.say(1.0)
        await asyncio.sleep(1.5)
        bot.say(1.0)
        await asyncio.sleep(0.6)
        await bot.close()
        await until(lambda: published.of("turn"))
