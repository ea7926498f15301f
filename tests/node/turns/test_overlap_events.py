"""Overlaps of real calls with bots, on a virtual clock."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.audio.detect.overlap import OverlapKind
from bridge.audio.detect.overlap_tracker import MAX_OVERLAPS, Overlap
from bridge.call.model import LegId
from bridge.metrics.turns import TurnMetrics
from bridge.node.turns.overlap_events import OverlapEvents, describe
from bridge.settings.model import Turns
from tests.node.turns.test_meters import SPEECH
from tests.support.clients.stream_line import streamed_call
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time


async def speak_over(caller, customer, seconds=0.3):
    """Let the bot speak for four seconds, and the caller meanwhile."""
    for _ in range(4):
        await customer.play(SPEECH)
    await asyncio.sleep(1.0)
    await caller.say(seconds)
    await asyncio.sleep(4.0)


async def test_a_caller_who_speaks_over_a_stream_is_published():
    async with streamed_call() as (line, caller, _, customer):
        await asyncio.sleep(2.5)
        await speak_over(caller, customer)
        [started] = line.published.of("overlap.started")
        ended: list[Any] = line.published.of("overlap.ended")
        assert started["bot"] == ended[0]["bot"] == "native"
        assert started["legID"] == ended[0]["legID"]
        assert ended[0]["overlapMs"] == pytest.approx(300, abs=60)
        assert await line.client.total("bridge_overlaps_total") == 1


@pytest.mark.full
async def test_nothing_is_published_where_turns_are_off():
    async with streamed_call(turns=Turns(enabled=False)) as (line, caller, _, customer):
        await asyncio.sleep(2.5)
        await speak_over(caller, customer)
        assert line.published.of("overlap.started") == []


@pytest.mark.full
async def test_the_end_of_a_call_ends_an_overlap_before_it():
    async with streamed_call() as (line, caller, _, customer):
        await asyncio.sleep(2.5)
        for _ in range(4):
            await customer.play(SPEECH)
        await asyncio.sleep(1.0)
        await caller.say(0.5)
        caller.hang_up()
        await until(lambda: line.published.of("call.ended"))
        types = [event.type for event in line.published.events]
        assert types.index("overlap.ended") < types.index("call.ended")


async def test_a_call_publishes_a_thousand_at_most():
    published: list[Any] = []
    counted: list[Any] = []
    metrics = SimpleNamespace(overlapped=lambda *labels: counted.append(labels))
    events = OverlapEvents(lambda *event: published.append(event), cast("TurnMetrics", metrics))
    for number in range(2 * (MAX_OVERLAPS + 5)):
        overlap = Overlap(OverlapKind.NOISE, 1.0, 0.2, 0.2, stopped=False, over=bool(number % 2))
        events.report(LegId("leg_1"), "socket", overlap)
    assert len(published) == 2 * MAX_OVERLAPS
    assert len(counted) == MAX_OVERLAPS


def test_the_events_say_what_it_was():
    overlap = Overlap(OverlapKind.NOISE, 3.0, 0.3, 0.2, stopped=True, over=False)
    begun = {"kind": "noise", "startedAt": "1970-01-01T00:00:03.000Z"}
    assert describe(overlap, 0.0) == begun
    over = begun | {"speechMs": 300, "overlapMs": 200, "interrupted": True}
    assert describe(replace(overlap, over=True), 0.0) == over
