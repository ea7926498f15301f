"""The leg that says to persons that they hear a machine."""

import asyncio

import pytest

from bridge.audio.frame import FRAME_BYTES
from bridge.call import events
from bridge.call.disclosure_wording import Wording
from bridge.call.model import EndReason, LegId
from bridge.errors import HandoverRefused
from bridge.node.disclosure.leg import DisclosureLeg

pytestmark = pytest.mark.virtual_time
SAID = LegId("said")
WORDING = Wording(asset="asset_1", language="de")


async def begun(frames: int = 2):
    told: list[events.LegEvent] = []
    leg = DisclosureLeg(SAID, b"\x01\x00" * (FRAME_BYTES // 2) * frames, WORDING)
    assert leg.pull() is None
    task = asyncio.create_task(leg.run(told.append))
    await asyncio.sleep(0)
    return leg, told, task


async def test_it_reports_that_it_was_spoken_after_its_last_frame():
    leg, told, task = await begun()
    assert [leg.pull() is None for _ in range(3)] == [False, False, True]
    await task
    assert told[1:] == [
        events.DisclosureSpoken(SAID, WORDING),
        events.LegEnded(SAID, EndReason.HANGUP),
    ]
    assert leg.statistics().received.frames == 2


async def test_one_that_is_stopped_has_not_been_spoken():
    leg, told, task = await begun()
    leg.pull()
    leg.stop()
    await task
    assert told[1:] == [events.LegEnded(SAID, EndReason.HANGUP)]
    assert leg.finished.is_set()


async def test_one_whose_call_ends_is_finished():
    leg, told, task = await begun()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert leg.finished.is_set()
    assert len(told) == 1


async def test_its_call_does_not_move_meanwhile():
    leg, _, task = await begun()
    for move in (leg.check_movable, leg.suspend):
        with pytest.raises(HandoverRefused):
            move()
    leg.stop()
    await task
