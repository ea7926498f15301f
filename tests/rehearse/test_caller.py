"""The scripted caller as a leg of a call."""

import asyncio

from bridge.audio.frame import SILENCE, Frame
from bridge.call.events import DigitReceived, LegConnected, LegEnded, LegEvent
from bridge.rehearse.background import Background
from bridge.rehearse.caller import ScriptedCaller
from bridge.rehearse.scenario import Press, Wait
from bridge.rehearse.talk import Cue, Talk


def caller() -> ScriptedCaller:
    cues = [Cue(Press(digits="5")), Cue(Wait(wait=0.5))]
    return ScriptedCaller(
        lambda leg: Talk(cues, Background(-23.0, 1), press=leg.press, hang_up=leg.hang_up)
    )


def hear(leg: ScriptedCaller, begin: float, frames: int) -> None:
    for number in range(frames):
        leg.push(Frame(SILENCE, 0, 0), begin + number * 0.02)


async def test_it_talks_from_the_answer_on_and_hangs_up_at_the_end():
    leg, events = caller(), list[LegEvent]()
    running = asyncio.create_task(leg.run(events.append))
    await asyncio.sleep(0)
    hear(leg, 1.0, 5)
    assert leg.pull() is None
    assert not leg.talk.heard
    leg.answer()
    await asyncio.sleep(0)
    hear(leg, 2.0, 40)
    await running
    assert [type(event) for event in events] == [LegConnected, DigitReceived, LegEnded]
    assert leg.began == 2.0


async def test_what_the_clock_leaves_out_is_silence_on_both_sides():
    leg = caller()
    running = asyncio.create_task(leg.run(lambda _: None))
    await asyncio.sleep(0)
    leg.answer()
    await asyncio.sleep(0)
    hear(leg, 2.0, 5)
    hear(leg, 2.3, 1)
    assert len(leg.talk.said) == len(leg.talk.heard) == 16 * 640
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_digits_that_it_is_sent_are_kept():
    leg = caller()
    leg.send_digits("42")
    assert leg.talk.received == "42"
