"""The live calls of Meta's: what legs are told, and how Meta learns of ends."""

import asyncio

import pytest

from bridge.call.model import EndReason
from bridge.errors import WhatsAppError, WhatsAppRefused
from bridge.wire.cloud import Terminated
from tests.support.whatsapp.cloud_bench import (
    LINE,
    NUMBER_ID,
    answer,
    cloud_bench,
    over,
    ring,
    status,
)
from tests.support.whatsapp.left_behind import member, take_over


@pytest.fixture
async def bench(tmp_path):
    async with cloud_bench(tmp_path) as made:
        yield made


async def rung(bench):
    bench.take(ring())
    await bench.wait_idle()
    return bench.legs[0]


def ended(*, failed=False, answered=False, codes=()):
    return Terminated("wacid.1", NUMBER_ID, 1.0, failed, answered, tuple(codes))


@pytest.mark.parametrize(
    ("inbound", "event", "reason"),
    [
        (True, ended(), EndReason.REMOTE_HANGUP),
        (True, ended(answered=True), EndReason.REMOTE_HANGUP),
        (False, ended(answered=True), EndReason.REMOTE_HANGUP),
        (False, ended(), EndReason.NO_ANSWER),
        (False, ended(failed=True, codes=[138019]), EndReason.FAILED),
        (True, ended(failed=True, answered=True, codes=[138021]), EndReason.MEDIA_TIMEOUT),
        (True, ended(failed=True, codes=[138022]), EndReason.MEDIA_TIMEOUT),
        (False, ended(failed=True), EndReason.NO_ANSWER),
    ],
)
async def test_an_end_has_its_reason(bench, inbound, event, reason):
    leg = await rung(bench) if inbound else await bench.dial()
    bench.take(event)
    assert leg.told == [f"terminated {reason}"]
    assert "wacid.1" not in bench.provider.calls


async def test_a_refusal_wins_over_the_end_told_with_it(bench):
    leg = await bench.dial()
    bench.take(over(), status("REJECTED"))
    assert leg.told == ["terminated rejected"]
    assert await bench.live_at_metas() == []


async def test_what_comes_after_the_end_is_late(bench):
    await bench.dial()
    bench.take(over())
    assert bench.take(answer())
    assert bench.counts["late"] == 1


async def test_a_call_that_meta_ended_already_counts_as_ended(bench):
    leg = await rung(bench)
    bench.graph.fails["terminate"] = WhatsAppRefused("it is over", meta_code=100)
    await leg.signalling.terminate("wacid.1")
    assert await bench.live_at_metas() == []


async def test_an_end_that_did_not_reach_meta_is_told_at_the_next_start(bench):
    leg = await rung(bench)
    bench.graph.fails["terminate"] = WhatsAppError("Meta cannot be reached")
    await leg.signalling.terminate("wacid.1")
    assert await bench.live_at_metas() == ["wacid.1"]
    del bench.graph.fails["terminate"]
    await take_over(bench.database, member())
    await bench.provider.recover()
    await bench.wait_idle()
    assert await bench.live_at_metas() == []


async def test_a_goodbye_goes_on_when_nobody_waits_for_it(bench):
    leg = await rung(bench)
    gate = bench.graph.gates["reject"] = asyncio.Event()
    waiter = asyncio.create_task(leg.signalling.reject("wacid.1"))
    await asyncio.sleep(0.01)
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    gate.set()
    await bench.wait_idle()
    assert await bench.live_at_metas() == []


async def test_a_call_that_is_not_known_has_no_leg_to_tell(bench):
    calls = bench.provider.calls
    assert not calls.dispatch(LINE, over("wacid.unknown"))
    await calls.end(LINE, "wacid.unknown", "terminate")
    assert bench.asked == [("terminate", "wacid.unknown")]
