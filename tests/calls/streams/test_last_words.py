"""A bot's last words, in whole calls on a virtual clock: with a hang-up after speech they are heard, else cut."""

import asyncio

import numpy as np
import pytest

from bridge.call import events
from bridge.call.bus.last_words import ARRIVAL_SECONDS, MAX_SECONDS, REPORT_SECONDS
from bridge.call.model import LegKind
from bridge.errors import HandoverRefused
from tests.support.clients.stream_line import streamed_call
from tests.support.servers.stream_customer import RATE
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time
TAIL = ARRIVAL_SECONDS + REPORT_SECONDS


def tone(seconds: float) -> bytes:
    time = np.arange(round(seconds * RATE)) / RATE
    return (8000 * np.sin(2 * np.pi * 300 * time)).astype("<i2").tobytes()


def silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * RATE))


def heard(caller) -> float:
    """For how many seconds the caller heard a voice."""
    return 0.02 * sum(int(np.frombuffer(frame.pcm, "<i2").max()) > 1000 for frame in caller.heard)


async def hang_up(line, runner, **more) -> float:
    """Hang up over HTTP; return after how many seconds the call has ended."""
    began = asyncio.get_running_loop().time()
    await line.client.data("/call/hangup", {"callId": runner.facts.call_id, **more})
    await until(lambda: line.published.of("call.ended"), timeout=90.0)
    return asyncio.get_running_loop().time() - began


async def play(caller, customer, pcm: bytes) -> None:
    """Let the bot send audio, and wait until its beginning is heard."""
    await customer.play(pcm)
    await until(lambda: heard(caller) > 0)


async def test_the_last_words_of_a_stream_arrive_whole_after_speech():
    async with streamed_call() as (line, caller, runner, customer):
        await play(caller, customer, tone(2.0) + silence(3.0))
        took = await hang_up(line, runner, after="speech")
        assert heard(caller) == pytest.approx(2.0, abs=0.04)
        assert took == pytest.approx(2.0 + REPORT_SECONDS, abs=0.2)
        [end] = line.published.of("call.ended")
        assert end["reason"] == "hangup"


async def test_without_it_they_are_cut():
    async with streamed_call() as (line, caller, runner, customer):
        await play(caller, customer, tone(2.0))
        assert await hang_up(line, runner) < 0.2
        assert heard(caller) < 0.3


async def test_a_hang_up_at_once_ends_a_call_that_waits_for_its_last_words():
    async with streamed_call() as (line, caller, runner, customer):
        await play(caller, customer, tone(5.0))
        body = {"callId": runner.facts.call_id, "after": "speech"}
        await line.client.data("/call/hangup", body)
        await asyncio.sleep(1.0)
        assert runner.live
        assert await hang_up(line, runner) < 0.2
        assert heard(caller) == pytest.approx(1.0, abs=0.3)


@pytest.mark.full
async def test_who_has_much_to_say_is_heard_to_the_end():
    async with streamed_call() as (line, caller, runner, customer):
        await play(caller, customer, tone(20.0))
        took = await hang_up(line, runner, after="speech")
        assert took == pytest.approx(20.0 + REPORT_SECONDS, abs=0.2)
        assert heard(caller) == pytest.approx(20.0, abs=0.04)


@pytest.mark.full
async def test_what_is_not_heard_in_time_is_not_waited_for_any_longer():
    async with streamed_call() as (line, caller, runner, customer):
        await play(caller, customer, tone(5.0))
        [stream] = [leg for leg in runner.legs() if leg.kind is LegKind.STREAM]
        runner.speech_gates.hold(stream.leg_id, "test")
        took = await hang_up(line, runner, after="speech")
        assert took == pytest.approx(MAX_SECONDS, abs=0.2)
        assert not runner.record().timed_out
        [figures] = [leg for leg in runner.record().legs if leg.kind is LegKind.STREAM]
        dropped = figures.statistics.received.held_dropped_seconds
        assert dropped == pytest.approx(5.0 - heard(caller), abs=0.1)


async def test_a_stream_whose_server_closes_it_is_heard_to_the_end_and_then_hangs_up():
    async with streamed_call() as (line, caller, runner, customer):
        await play(caller, customer, tone(2.0))
        await customer.close()
        await until(lambda: line.published.of("call.ended"), timeout=60.0)
        assert heard(caller) == pytest.approx(2.0, abs=0.04)
        [end] = line.published.of("stream.ended")
        assert end["reason"] == "closed"
        assert not runner.live


async def test_a_stream_that_is_stopped_after_its_speech_is_heard_to_the_end():
    async with streamed_call() as (line, caller, runner, customer):
        await play(caller, customer, tone(2.0))
        [stream] = [leg for leg in runner.legs() if leg.kind is LegKind.STREAM]
        runner.dispatch(events.CloseRequested(stream.leg_id, after_speech=True))
        await until(lambda: line.published.of("stream.ended"), timeout=10.0)
        assert heard(caller) == pytest.approx(2.0, abs=0.04)
        assert runner.live


async def test_a_transfer_waits_for_the_last_words_of_the_bot_that_announces_it():
    async with streamed_call() as (line, caller, runner, customer):
        await play(caller, customer, tone(2.0))
        body = {"callId": runner.facts.call_id, "phone": "15550100001"}
        await line.client.data("/call/transfer", body)
        assert heard(caller) == pytest.approx(2.0, abs=0.04)


async def test_what_a_bot_clears_is_not_waited_for():
    async with streamed_call() as (line, caller, runner, customer):
        await play(caller, customer, tone(5.0))
        ending = asyncio.create_task(hang_up(line, runner, after="speech"))
        await asyncio.sleep(1.0)
        await customer.say("clear")
        assert await ending == pytest.approx(1.0 + REPORT_SECONDS, abs=0.2)


async def test_a_call_in_which_nobody_speaks_ends_soon():
    async with streamed_call() as (line, _, runner, customer):
        await customer.play(silence(5.0))
        await asyncio.sleep(0.5)
        assert await hang_up(line, runner, after="speech") == pytest.approx(TAIL, abs=0.1)


@pytest.mark.full
async def test_what_the_far_party_does_not_hear_is_not_waited_for():
    async with streamed_call() as (line, caller, runner, customer):
        await play(caller, customer, tone(5.0))
        runner.dispatch(events.HoldRequested(held=True))
        assert await hang_up(line, runner, after="speech") == pytest.approx(TAIL, abs=0.1)


async def test_a_call_that_waits_for_its_last_words_stays_in_its_process():
    async with streamed_call() as (_, caller, runner, customer):
        await play(caller, customer, tone(2.0))
        runner.dispatch(events.HangupRequested(after_speech=True))
        with pytest.raises(HandoverRefused):
            runner.suspend()
