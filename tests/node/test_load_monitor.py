"""What a node does once a second."""

import asyncio

import pytest

from bridge.node.clock import Clock
from bridge.node.load import monitor
from tests.support.fake_node import Node

pytestmark = pytest.mark.virtual_time


class Load:
    """Notes when it is asked; `node.load.Load` as far as the pulse needs it."""

    def __init__(self):
        self.probed = 0
        self.updated = []

    def probe(self, lag):
        self.probed += 1

    def update(self, now):
        self.updated.append(now)


async def test_the_lag_is_measured_ten_times_a_second_and_an_error_does_not_end_it(monkeypatch):
    node, load, loop = Node(), Load(), asyncio.get_running_loop()
    forgotten = []

    def forget_ended(now):
        forgotten.append(now)
        raise RuntimeError("a bug")

    monkeypatch.setattr(node.manager, "forget_ended", forget_ended)
    clock, began = Clock(loop), loop.time()
    clock.late_ticks = 3
    task = asyncio.create_task(monitor(node.manager, node.metrics, clock, load))  # type: ignore[arg-type]
    await asyncio.sleep(2.05)
    task.cancel()
    assert load.probed == 20
    assert [round(now - began) for now in load.updated] == [1, 2]
    assert forgotten == load.updated
    assert node.figure("bridge_clock_late_ticks_total") == 3
    await node.manager.aclose()
