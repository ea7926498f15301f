"""Calls of WhatsApp users that ring us."""

import asyncio

import msgspec
import pytest

from bridge.errors import LimitExceeded, SdpError
from bridge.providers.cloud.live import key_of_call
from bridge.providers.cloud.provider import STALE_SECONDS
from bridge.wire.cloud import Caller
from tests.support.whatsapp.cloud_bench import LINE, USER, cloud_bench, now, over, ring


@pytest.fixture
async def bench(tmp_path):
    async with cloud_bench(tmp_path) as made:
        yield made


async def test_a_call_rings_its_line_with_all_that_is_known_of_the_caller(bench):
    caller = Caller(USER, "Nadia", "nadia.k", "US.11")
    bench.take(
        ring(
            caller=caller,
            called="15550101000",
            deeplink_payload="campaign-7",
            cta_payload="order-55",
        )
    )
    await bench.wait_idle()
    [(line, number, details)] = bench.receiver.taken
    assert (line, number) == (LINE, USER)
    assert msgspec.json.decode(details.metadata) == {
        "profile_name": "Nadia",
        "username": "nadia.k",
        "user_id": "US.11",
        "deeplink_payload": "campaign-7",
        "cta_payload": "order-55",
    }
    assert (details.parties.from_, details.parties.to) == (USER, "15550101000")


async def test_what_meta_announces_is_in_the_calls_metadata(bench):
    announced = {"recording": {"status": "ENABLED", "purpose": "training"}}
    bench.graph.announcements = announced
    bench.take(ring())
    await bench.wait_idle()
    metadata = msgspec.json.decode(bench.receiver.taken[0][2].metadata)
    assert metadata["recording"] == announced["recording"]


@pytest.mark.parametrize(
    ("caller", "called"),
    [(Caller(user_id="US.11", username="nadia.k"), "US.11"), (Caller(), "unknown")],
)
async def test_a_caller_without_a_number_rings_too(bench, caller, called):
    bench.take(ring(caller=caller))
    await bench.wait_idle()
    assert bench.receiver.taken[0][1] == called


async def test_the_answer_tells_meta_our_id_of_the_call(bench):
    bench.take(ring())
    await bench.wait_idle()
    await bench.legs[0].signalling.accept("wacid.1", "our answer")
    assert bench.asked == [("accept", "wacid.1", "call 1")]


async def test_an_old_call_rings_nobody_and_is_not_touched(bench):
    bench.take(ring(at=now() - STALE_SECONDS - 1))
    await bench.wait_idle()
    assert (bench.receiver.taken, bench.asked) == ([], [])
    assert bench.counts["stale"] == 1


async def test_a_call_whose_end_came_first_rings_nobody(bench):
    bench.take(over())
    bench.take(ring())
    await bench.wait_idle()
    assert (bench.receiver.taken, bench.asked) == ([], [])


async def test_a_call_and_its_end_in_one_delivery_end_as_one(bench):
    bench.take(over(), ring())
    await bench.wait_idle()
    assert bench.asked == []
    assert bench.legs == [] or bench.legs[0].told == ["terminated remote_hangup"]
    assert len(bench.provider.calls) == 0
    assert await bench.live_at_metas() == []


async def test_a_call_that_rings_on_another_node_already_rings_once(bench):
    await bench.store.claim(key_of_call(LINE, "wacid.1"), LINE)
    bench.take(ring())
    await bench.wait_idle()
    assert bench.receiver.taken == []
    assert bench.counts["duplicate"] == 1


async def test_an_offer_that_cannot_be_answered_is_rejected(bench):
    bench.leg_fails = SdpError("no audio", line=None)
    bench.take(ring())
    await bench.wait_idle()
    assert bench.asked == [("reject", "wacid.1")]
    assert await bench.live_at_metas() == []


async def test_a_call_beyond_the_limits_is_rejected(bench):
    bench.receiver.fails = LimitExceeded("full", limit="calls")
    bench.take(ring())
    await bench.wait_idle()
    assert bench.asked == [("reject", "wacid.1")]
    assert len(bench.provider.calls) == 0
    assert await bench.live_at_metas() == []


async def test_an_end_that_comes_while_the_call_is_written_down_reaches_the_leg(bench):
    bench.take(ring())
    await asyncio.sleep(0)
    bench.take(over())
    await bench.wait_idle()
    assert bench.legs[0].told == ["terminated remote_hangup"]
    assert await bench.live_at_metas() == []
