"""The limit of a talk: the sentence that is being said is said to its end."""

import asyncio

import pytest

from bridge.agent.speech_queue import SpeechQueue
from bridge.agent.talk_limit import LAST_SENTENCE_SECONDS, over_in_time

pytestmark = pytest.mark.virtual_time

SECOND = b"\x00\x10" * 16_000


async def frames_until_over(queue: SpeechQueue) -> tuple[int, bool]:
    """Play until an agent that may talk for 0.5 s is over; return how many frames that were, and whether it was in time."""
    over, until = asyncio.Event(), asyncio.get_running_loop().time() + 0.5
    task = asyncio.get_running_loop().create_task(over_in_time(over, until, queue))
    played = 0
    while not task.done():
        played += queue.pull() is not None
        await asyncio.sleep(0.02)
    assert over.is_set()
    return played, task.result()


def say(queue: SpeechQueue, seconds: int) -> None:
    queue.begin("A sentence.")
    queue.add(SECOND * seconds)
    queue.end()


async def test_the_sentence_is_said_to_its_end_and_the_next_is_not():
    queue = SpeechQueue()
    say(queue, 1)
    say(queue, 1)
    played, in_time = await frames_until_over(queue)
    assert played == 50
    assert not in_time
    assert not queue.speaking


async def test_a_sentence_whose_sound_still_comes_is_waited_for():
    queue = SpeechQueue()
    queue.begin("A sentence.")
    queue.add(SECOND)
    loop = asyncio.get_running_loop()
    loop.call_later(1.2, queue.add, SECOND)
    loop.call_later(1.3, queue.end)
    played, _ = await frames_until_over(queue)
    assert played == 100


async def test_a_sentence_that_was_paused_goes_on():
    queue = SpeechQueue()
    say(queue, 1)
    asyncio.get_running_loop().call_later(0.3, setattr, queue, "held", True)
    played, _ = await frames_until_over(queue)
    assert played == 50


async def test_a_long_sentence_is_cut_off():
    queue = SpeechQueue()
    say(queue, 30)
    played, _ = await frames_until_over(queue)
    assert played * 0.02 == pytest.approx(0.5 + LAST_SENTENCE_SECONDS, abs=0.1)


async def test_where_nothing_is_being_said_it_is_over_at_once():
    queue = SpeechQueue()
    queue.held = True
    say(queue, 1)
    over = asyncio.Event()
    assert not await over_in_time(over, asyncio.get_running_loop().time(), queue)
    assert not queue.speaking


async def test_who_is_over_before_is_in_time():
    over = asyncio.Event()
    over.set()
    assert await over_in_time(over, asyncio.get_running_loop().time() + 1, SpeechQueue())
