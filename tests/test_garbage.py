"""The cyclic garbage collector."""

import asyncio
import gc
import weakref
from datetime import UTC, datetime

import pytest

from bridge import garbage
from bridge.garbage import SWEEP_SECONDS, SWEPT_LEGS, LegSweep
from bridge.wire.call_event import CallEvent, EventType

ENDED = CallEvent(id="evt_1", type=EventType.LEG_LEFT, line="demo", at=datetime.now(UTC))
OTHER = CallEvent(id="evt_2", type=EventType.LEG_JOINED, line="demo", at=datetime.now(UTC))


class Cycle:
    """Refers to itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def by_request_only():
    gc.disable()
    yield
    gc.enable()


@pytest.mark.virtual_time
@pytest.mark.usefixtures("by_request_only")
async def test_garbage_is_collected_once_enough_legs_have_ended():
    left, sweep = weakref.ref(Cycle()), LegSweep()
    running = asyncio.create_task(sweep.run())
    for event in [*[ENDED] * (SWEPT_LEGS - 1), OTHER]:
        sweep.on_event(event)
    await asyncio.sleep(2 * SWEEP_SECONDS)
    assert left() is not None
    sweep.on_event(ENDED)
    await asyncio.sleep(2 * SWEEP_SECONDS)
    assert left() is None
    running.cancel()


def test_every_collection_is_measured():
    took: list[float] = []
    before = list(gc.callbacks)
    garbage.measure(took.append)
    gc.collect()
    gc.callbacks[:] = before
    assert took
    assert all(seconds >= 0 for seconds in took)
