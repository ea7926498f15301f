"""Turns of real calls with bots, on a virtual clock."""

import asyncio
from typing import Any, cast

import numpy as np
import pytest

from bridge.audio.detect.overlap_tracker import MAX_OVERLAPS
from bridge.call.bus.bus import Bus
from bridge.metrics.turns import TurnMetrics
from bridge.node.turns.meters import TurnMeters, TurnsSnapshot
from bridge.settings.model import Turns
from tests.support.clients.stream_line import streamed_call
from tests.support.servers.stream_customer import RATE
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time
SPEECH = (8000 * np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE)).astype("<i2").tobytes()
"""A second."""


async def ask(caller, customer, delay):
    """Let the caller speak for a second, and the bot answer after a delay."""
    await caller.say(1.0)
    await asyncio.sleep(delay)
    await customer.play(SPEECH)
    await asyncio.sleep(2.5)


async def test_what_a_caller_waits_for_a_stream_is_published_and_listed():
    async with streamed_call() as (line, caller, runner, customer):
        await ask(caller, customer, 0.5)
        await ask(caller, customer, 1.5)
        await until(lambda: len(line.published.of("turn")) == 2)
        shown: list[Any] = line.published.of("turn")
        assert [turn["turn"] for turn in shown] == [1, 2]
        assert [turn["waitMs"] for turn in shown] == pytest.approx([500, 1500], abs=60)
        for turn in shown:
            assert sum(part or 0 for part in turn["parts"].values()) == pytest.approx(
                turn["waitMs"], abs=3
            )
            assert (turn["bot"], turn["interrupted"]) == ("native", False)
            assert turn["speechMs"] == pytest.approx(1000, abs=60)
            assert turn["answerMs"] == pytest.approx(1000, abs=60)
        call_id = runner.facts.call_id
        live = (await line.client.data_of(f"/calls/{call_id}/turns"))["turns"]
        assert live == shown
        assert await line.client.total("bridge_turn_wait_seconds_count") == 2
        caller.hang_up()
        await until(lambda: line.published.of("call.ended"))
        assert (await line.client.data_of(f"/calls/{call_id}/turns"))["turns"] == shown


async def test_the_turn_that_the_end_cuts_off_comes_before_it():
    async with streamed_call() as (line, caller, _, customer):
        await caller.say(1.0)
        await asyncio.sleep(0.5)
        await customer.play(SPEECH)
        await asyncio.sleep(0.5)
        caller.hang_up()
        await until(lambda: line.published.of("call.ended"))
        types = [event.type for event in line.published.events]
        assert types.index("turn") < types.index("call.ended")


async def test_nothing_is_measured_where_it_is_off():
    async with streamed_call(turns=Turns(enabled=False)) as (line, caller, runner, customer):
        await ask(caller, customer, 0.5)
        assert line.published.of("turn") == []
        assert (await line.client.data_of(f"/calls/{runner.facts.call_id}/turns"))["turns"] == []


@pytest.mark.parametrize("passed", [TurnMeters.snapshot, TurnMeters.numbering])
async def test_what_was_published_before_counts_in_another_process(passed):
    old, new = (
        TurnMeters(
            cast("Bus", None),
            publish=lambda *event: None,
            metrics=cast("TurnMetrics", None),
            enabled=True,
        )
        for _ in range(2)
    )
    old.restore(TurnsSnapshot(published=7, overlaps=MAX_OVERLAPS))
    new.restore(passed(old))
    assert new.numbering() == TurnsSnapshot(published=7, overlaps=MAX_OVERLAPS)
