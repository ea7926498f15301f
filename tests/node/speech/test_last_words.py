"""Waiting for the last words of a call, or of one bot."""

import asyncio

import pytest

from bridge.audio.buffer.paced import PacedQueue
from bridge.audio.frame import FRAME_BYTES, SILENCE
from bridge.call import events
from bridge.call.bus.bus import Bus
from bridge.call.bus.last_words import ARRIVAL_SECONDS, MAX_SECONDS, REPORT_SECONDS
from bridge.call.commands import CloseAfterSpeech
from bridge.call.limits import CallLimits
from bridge.call.machine import CallMachine
from bridge.call.model import Direction, LegId, LegKind, Party
from bridge.call.routing import LegRole
from bridge.legs.base import Leg
from bridge.node.speech.last_words import close_after_speech, wait_until_said
from tests.support.fake_leg import FakeLeg

pytestmark = pytest.mark.virtual_time

WORD = b"\x00\x10" * (FRAME_BYTES // 2)
TICK = 0.02


class Bot(FakeLeg):
    """A leg that speaks from a queue."""

    def __init__(self) -> None:
        super().__init__("bot", LegKind.SOCKET)
        self.queue = PacedQueue()

    def pull(self) -> bytes | None:
        return self.queue.pull()


class Spoken:
    """An active call in which a bot speaks (`SpokenCall`)."""

    def __init__(self) -> None:
        self.live = True
        self.bot, far = Bot(), FakeLeg("far")
        self.machine = CallMachine(
            direction=Direction.INBOUND, limits=CallLimits(60, 600, 60), now=0.0
        )
        self.bus = Bus()
        self.requests: list[events.Event] = []
        self._legs: list[Leg] = [far, self.bot]
        for leg, party in ((far, Party.FAR), (self.bot, Party.NEAR)):
            self.bus.join(leg.leg_id, leg.source, leg.sink)
            self.machine.handle(events.LegAdded(leg.leg_id, leg.kind, LegRole(party)), 0.0)
        self.bus.route({far.leg_id: frozenset({self.bot.leg_id})}, 0.0)

    def legs(self) -> list[Leg]:
        return self._legs

    def leg(self, leg_id: LegId) -> Leg | None:
        return next((leg for leg in self._legs if leg.leg_id == leg_id), None)

    def dispatch(self, event: events.Event) -> None:
        self.requests.append(event)

    async def play(self, frames: int) -> None:
        """Let the clock pull so many frames."""
        for _ in range(frames):
            self.bot.queue.pull()
            await asyncio.sleep(TICK)


async def took(task: asyncio.Task[None]) -> float:
    """Return when a task ends, in seconds from now."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await task
    return loop.time() - began


async def test_a_leg_is_closed_once_its_last_word_has_been_played():
    call = Spoken()
    call.bot.queue.add(50 * WORD + 50 * SILENCE)
    task = asyncio.create_task(close_after_speech(call, CloseAfterSpeech(call.bot.leg_id)))
    await call.play(45)
    assert not task.done()
    await call.play(10)
    assert task.done()
    assert call.requests == [events.CloseRequested(call.bot.leg_id)]


async def test_a_call_is_hung_up_once_its_last_word_has_been_received():
    call = Spoken()
    call.bot.queue.add(50 * WORD)
    task = asyncio.create_task(close_after_speech(call, CloseAfterSpeech()))
    await call.play(50)
    assert await took(task) == pytest.approx(REPORT_SECONDS, abs=2 * TICK)
    assert call.requests == [events.HangupRequested()]


async def test_nothing_is_asked_of_a_call_that_has_ended():
    call = Spoken()
    call.bot.queue.add(50 * WORD)
    task = asyncio.create_task(close_after_speech(call, CloseAfterSpeech(call.bot.leg_id)))
    await call.play(10)
    call.live = False
    await task
    assert call.requests == []


async def test_who_waits_for_bots_in_silence_waits_only_for_what_is_still_on_its_way():
    call = Spoken()
    task = asyncio.create_task(wait_until_said(call))
    assert await took(task) == pytest.approx(ARRIVAL_SECONDS, abs=TICK)


async def test_without_a_bot_nobody_waits():
    call = Spoken()
    call.legs().remove(call.bot)
    assert await took(asyncio.create_task(wait_until_said(call))) == 0.0


async def test_what_is_never_played_is_not_waited_for_forever():
    call = Spoken()
    call.bot.queue.add(50 * WORD)
    task = asyncio.create_task(wait_until_said(call))
    assert await took(task) == pytest.approx(MAX_SECONDS + ARRIVAL_SECONDS, abs=2 * TICK)
