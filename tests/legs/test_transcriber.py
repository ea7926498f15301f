"""The leg that splits a track into phrases."""

import asyncio
from contextlib import suppress

from bridge.audio.detect.phrases import SpokenPhrase
from bridge.audio.frame import SILENCE, Frame
from bridge.call.model import LegId
from bridge.legs.transcriber import TranscriberLeg
from tests.support.sound.agent_talk import VOICE


async def test_phrases_are_given_away_as_they_end_and_the_last_one_when_the_leg_leaves():
    told: list[SpokenPhrase | str] = []
    leg = TranscriberLeg(
        LegId("leg_1"), max_seconds=30, on_phrase=told.append, on_over=lambda: told.append("over")
    )
    task = asyncio.get_running_loop().create_task(leg.run(lambda _: None))
    await asyncio.sleep(0)
    for number in range(110):
        leg.push(Frame(SILENCE if 50 <= number < 90 else VOICE, 0, "t"), 0.0)
    first = told[0]
    assert len(told) == 1
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    _, second, over = told
    assert isinstance(first, SpokenPhrase)
    assert isinstance(second, SpokenPhrase)
    assert (first.start, over) == (0.0, "over")
    assert second.start >= first.end
    assert leg.statistics().sent.packets == 110
