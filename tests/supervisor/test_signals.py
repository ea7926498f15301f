"""What a process does that is told to end."""

import asyncio
import os
import signal

import pytest

from bridge.supervisor import signals

pytestmark = pytest.mark.virtual_time


async def test_the_first_sigterm_drains_and_one_a_second_later_ends():
    heard: list[str] = []
    signals.handle(drain=lambda: heard.append("drain"), stop=lambda: heard.append("stop"))
    for pause in (0.0, 0.5, 0.6):
        await asyncio.sleep(pause)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    assert heard == ["drain", "stop"]


async def test_sigint_ends_at_once():
    heard: list[str] = []
    signals.handle(drain=lambda: heard.append("drain"), stop=lambda: heard.append("stop"))
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(0.1)
    assert heard == ["stop"]


def test_signals_of_a_node_are_its_supervisors():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        signals.leave_to_supervisor()
        for number in before:
            os.kill(os.getpid(), number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
