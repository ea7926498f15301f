"""The leg that finds out who answered."""

import asyncio

import pytest

from bridge.audio.frame import SILENCE, Frame
from bridge.call.events import AnswererDetected, LegConnected, LegEnded, LegEvent
from bridge.call.model import LegId
from bridge.legs.machine_detector import MachineDetectorLeg

pytestmark = pytest.mark.virtual_time
LOUD = bytes([0, 16, 0, 240]) * 160


async def test_it_reports_who_answered_and_leaves():
    counted: list[str] = []
    emitted: list[LegEvent] = []
    leg = MachineDetectorLeg(LegId("leg_1"), count=counted.append)
    leg.push(Frame(LOUD, 0, "t"), 0.0)  # before it runs
    task = asyncio.get_running_loop().create_task(leg.run(emitted.append))
    await asyncio.sleep(0)
    for number in range(150):
        leg.push(Frame(LOUD if 10 < number < 40 else SILENCE, 0, "t"), 0.0)
    await task
    connected, detected, ended = emitted
    assert isinstance(connected, LegConnected)
    assert isinstance(detected, AnswererDetected)
    assert detected.detection.answerer == "person"
    assert isinstance(ended, LegEnded)
    assert counted == ["person"]
    assert leg.statistics().sent.packets == 151


async def test_what_is_announced_first_is_passed_over():
    emitted: list[LegEvent] = []
    leg = MachineDetectorLeg(LegId("leg_1"), count=lambda result: None, delay=8.0)
    task = asyncio.get_running_loop().create_task(leg.run(emitted.append))
    await asyncio.sleep(0)
    for number in range(550):
        leg.push(Frame(LOUD if number < 400 or 410 < number < 440 else SILENCE, 0, "t"), 0.0)
    await task
    [detected] = [one for one in emitted if isinstance(one, AnswererDetected)]
    assert detected.detection.answerer == "person"
