"""A bot's first words, in whole calls on a virtual clock: they are heard from their beginning, however early they are said."""

import asyncio

import numpy as np
import pytest

from bridge.audio.frame import SILENCE
from bridge.call import events
from bridge.call.model import LegId, LegKind, Party
from bridge.call.routing import LegRole
from bridge.legs.socket import SocketLeg
from tests.support.clients.caller import Caller, call_in
from tests.support.clients.pcm_client import pcm_client
from tests.support.inprocess import running
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until

pytestmark = [pytest.mark.virtual_time, one_node_only]

RATE = 16_000


def tone(seconds: float) -> bytes:
    time = np.arange(round(seconds * RATE)) / RATE
    return (8000 * np.sin(2 * np.pi * 300 * time)).astype("<i2").tobytes()


def heard(caller: Caller) -> float:
    """For how many seconds the caller heard a voice."""
    return 0.02 * sum(int(np.frombuffer(frame.pcm, "<i2").max()) > 1000 for frame in caller.heard)


def socket(call_id: str) -> str:
    return f"/call/{call_id}/stream?token=demo"


async def test_what_a_machine_says_over_webrtc_meanwhile_is_heard_after_the_answer():
    async with running() as client:
        caller, runner = await call_in(client.bridge.manager)
        machine = Caller(LegKind.WEBRTC)
        machine.leg_id = LegId("machine")
        runner.add_leg(machine, LegRole(Party.NEAR, machine=True))
        await machine.say(2.0, tone(0.02))
        runner.dispatch(events.AnswerRequested())
        await machine.say(3.0, SILENCE)
        assert heard(caller) == pytest.approx(2.0, abs=0.04)
        [leg] = [one for one in runner.record().legs if one.leg_id == "machine"]
        assert leg.statistics.received.held_seconds == pytest.approx(2.0, abs=0.1)


def received(runner):
    [leg] = [one for one in runner.record().legs if one.kind is LegKind.SOCKET]
    return leg.statistics.received


async def test_what_a_socket_says_while_the_call_rings_is_heard_after_the_answer():
    async with running() as client:
        caller, runner = await call_in(client.bridge.manager)
        async with pcm_client(client.http, socket(runner.facts.call_id)) as bot:
            await bot.send(tone(2.0))
            await asyncio.sleep(5.0)
            runner.dispatch(events.AnswerRequested())
            await asyncio.sleep(3.0)
            assert heard(caller) == pytest.approx(2.0, abs=0.04)
            assert received(runner).held_seconds == pytest.approx(5.0, abs=0.1)
            [shown] = [
                leg
                for leg in (await client.quality(runner.facts.call_id))["legs"]
                if leg["kind"] == "socket"
            ]
            assert shown["received"]["heldMs"] == pytest.approx(5000, abs=100)
            assert shown["received"]["heldDroppedMs"] == 0


@pytest.mark.full
async def test_what_it_says_on_is_soon_not_late_any_longer():
    async with running() as client:
        caller, runner = await call_in(client.bridge.manager)
        async with pcm_client(client.http, socket(runner.facts.call_id)) as bot:
            for number in range(12):  # half a second of speech, half a second of pause
                await bot.send(tone(0.5) + bytes(RATE))
                await asyncio.sleep(1.0)
                if number == 1:
                    runner.dispatch(events.AnswerRequested())
                if number >= 7:
                    [leg] = [leg for leg in runner.legs() if isinstance(leg, SocketLeg)]
                    assert leg.buffered_seconds <= 0.1
        assert heard(caller) == pytest.approx(6.0, abs=0.6)


async def test_what_was_never_heard_stands_in_the_record_of_the_call():
    async with running() as client:
        caller, runner = await call_in(client.bridge.manager)
        async with pcm_client(client.http, socket(runner.facts.call_id)) as bot:
            await bot.send(tone(3.0))
            await asyncio.sleep(1.0)
            caller.hang_up()
            await until(lambda: not runner.live)
        assert received(runner).held_dropped_seconds == pytest.approx(3.0)
        path = f"/calls/{runner.facts.call_id}"
        [leg] = [one for one in (await client.data_of(path))["legs"] if one["kind"] == "socket"]
        assert (leg["heldMs"], leg["heldDroppedMs"]) == (pytest.approx(1000, abs=100), 3000)


@pytest.mark.full
async def test_a_socket_that_closes_is_heard_to_the_end():
    async with running() as client:
        caller, runner = await call_in(client.bridge.manager)
        runner.dispatch(events.AnswerRequested())
        async with pcm_client(client.http, socket(runner.facts.call_id)) as bot:
            await until(lambda: runner.machine.legs.near())
            await bot.send(tone(2.0))
        await until(lambda: not runner.machine.legs.near(), timeout=10.0)
        assert heard(caller) == pytest.approx(2.0, abs=0.04)


@pytest.mark.full
async def test_a_bot_that_is_asked_to_leave_after_its_speech_is_heard_to_the_end():
    async with running() as client:
        caller, runner = await call_in(client.bridge.manager)
        runner.dispatch(events.AnswerRequested())
        async with pcm_client(client.http, socket(runner.facts.call_id)) as bot:
            await until(lambda: runner.machine.legs.near())
            await bot.send(tone(2.0))
            await until(lambda: heard(caller) > 0.2)
            [leg] = [leg for leg in runner.legs() if leg.kind is LegKind.SOCKET]
            runner.dispatch(events.CloseRequested(leg.leg_id, after_speech=True))
            assert runner.machine.legs.near() == []
            await until(lambda: leg not in runner.legs(), timeout=10.0)
        assert heard(caller) == pytest.approx(2.0, abs=0.04)
