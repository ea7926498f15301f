"""The provider of Meta's lines: which events reach what, and what is done at start and end."""

import asyncio
from dataclasses import replace

import pytest

from bridge.call.model import LineName
from bridge.errors import InvalidState
from bridge.providers.cloud.inbox import HELD_SECONDS
from bridge.providers.cloud.live import SHUTDOWN_SECONDS, key_of_call
from bridge.stores import nodes
from bridge.stores.cloud import CloudStore
from bridge.wire.cloud import Standby
from bridge.wire.cloud_people import PermissionReplied, UserIdChanged
from tests.support.whatsapp.cloud_bench import (
    LINE,
    NUMBER_ID,
    OURS,
    USER,
    answer,
    cloud_bench,
    over,
    ring,
)
from tests.support.whatsapp.left_behind import member, take_over


@pytest.fixture
async def bench(tmp_path):
    async with cloud_bench(tmp_path) as made:
        yield made


def reply(*, granted: bool = True):
    return PermissionReplied(NUMBER_ID, USER, granted, False, 5.0, None, "wamid.1")


async def test_a_permission_goes_with_the_person_to_a_new_id(bench):
    bench.take(reply())
    bench.take(UserIdChanged(NUMBER_ID, USER, "US.2", "wamid.2"))
    await bench.wait_idle()
    assert (await bench.store.reply(LINE, "US.2")).granted
    assert await bench.store.reply(LINE, USER) is None
    assert bench.counts == {"taken": 2}


async def test_an_event_that_comes_again_does_nothing(bench):
    for _ in range(3):
        bench.take(ring())
    await bench.wait_idle()
    assert len(bench.receiver.taken) == 1
    assert bench.counts == {"taken": 1, "duplicate": 2}


async def test_webhooks_about_a_call_that_meta_signals_by_sip_begin_and_await_nothing(bench):
    bench.provider.calls.lines[LINE] = replace(bench.provider.lines[LINE], by_sip=True)
    assert not bench.take(ring(), over())
    bench.take(reply())
    await bench.wait_idle()
    assert (bench.receiver.taken, bench.asked) == ([], [])
    assert bench.counts == {"by_sip": 2, "taken": 1}


async def test_what_another_partner_handles_rings_nobody_and_is_counted(bench):
    for _ in range(2):
        assert not bench.take(Standby(NUMBER_ID, "wacid.1 connect"))
    await bench.wait_idle()
    assert (bench.receiver.taken, bench.asked) == ([], [])
    assert bench.counts == {"standby": 1, "duplicate": 1}
    assert bench.graph.health.reported_at > 0


@pytest.mark.virtual_time
@pytest.mark.parametrize(("outbound", "outcome"), [(True, "standby"), (False, "dropped")])
async def test_the_end_of_a_call_that_another_partner_placed_is_no_lost_event(
    bench, outbound, outcome
):
    assert bench.take(over("wacid.THEIRS", outbound=outbound))
    await asyncio.sleep(HELD_SECONDS + 1)
    bench.provider.calls.inboxes[LINE].held()
    assert bench.counts == {"taken": 1, outcome: 1}
    assert bench.asked == []


async def test_events_of_numbers_that_are_no_lines_do_nothing(bench):
    assert not bench.take(ring(phone_number_id="901"))
    assert bench.counts == {"unknown_number": 1}


async def test_a_signature_speaks_for_its_own_apps_numbers_only(bench):
    bench.provider.handle_webhook([ring()], bench.receiver, numbers=frozenset({"other"}))
    await bench.wait_idle()
    assert bench.receiver.taken == []
    assert bench.provider.handle_webhook([over("x")], bench.receiver, numbers=OURS)


async def test_what_is_about_a_call_of_another_node_is_strange(bench):
    assert bench.take(answer("wacid.theirs")) == {(LINE, "wacid.theirs")}
    assert bench.take(ring("wacid.ours"), over("wacid.theirs")) == {(LINE, "wacid.theirs")}
    assert bench.take(reply()) == frozenset()


@pytest.mark.parametrize("forwarded", [False, True])
@pytest.mark.virtual_time
async def test_what_another_node_has_is_lost_by_nobody(bench, forwarded):
    taken = bench.provider.handle_webhook(
        [answer("wacid.theirs")], bench.receiver, numbers=OURS, forwarded=forwarded
    )
    assert taken == {(LINE, "wacid.theirs")}
    if not forwarded:
        bench.provider.mark_known_elsewhere(taken)
    for wacid in ("wacid.nobodys", "wacid.last"):
        await asyncio.sleep(HELD_SECONDS + 1)
        bench.take(over(wacid))
    assert bench.counts == {"taken": 3 - forwarded, "dropped": 1}


async def test_what_people_permit_is_remembered(bench):
    bench.take(reply())
    await bench.wait_idle()
    kept = await bench.store.reply(LINE, USER)
    assert kept is not None
    assert kept.granted


async def test_another_providers_line_has_no_permissions(bench):
    with pytest.raises(InvalidState, match="not Meta's"):
        bench.provider.graph(LineName("other"))


async def test_calls_that_a_forerunner_left_are_ended_and_those_of_others_are_not(bench):
    await bench.store.claim(key_of_call(LINE, "wacid.left"), LINE)
    await bench.store.claim("wacid.gone", LineName("a line that is no more"))
    await CloudStore(bench.database, own=member(1)).claim("wacid.of_node_1", LINE)
    await bench.database.run(nodes.register, member(1), launch_id="run", now=0.0)
    await take_over(bench.database, member())
    await bench.provider.recover()
    await bench.wait_idle()
    assert bench.asked == [("terminate", "wacid.left")]
    assert set(await bench.live_at_metas()) == {"wacid.gone", "wacid.of_node_1"}


async def test_a_call_that_has_come_up_meanwhile_is_not_ended_by_the_recovery(bench):
    bench.take(ring())
    await bench.wait_idle()
    await take_over(bench.database, member())
    await bench.provider.recover()
    await bench.wait_idle()
    assert bench.asked == []


@pytest.mark.virtual_time
async def test_the_end_waits_for_meta_but_not_for_ever(bench):
    bench.graph.gates["terminate"] = asyncio.Event()
    bench.provider.calls.tasks.spawn(
        bench.provider.calls.end(LINE, "wacid.1", "terminate"), name="end"
    )
    async with asyncio.timeout(SHUTDOWN_SECONDS + 1):
        await bench.provider.calls.aclose()
    assert bench.asked == [("terminate", "wacid.1")]
