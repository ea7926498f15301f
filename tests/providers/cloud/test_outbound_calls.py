"""Calls of ours that ring WhatsApp users, and those that nobody waits for any more."""

import asyncio
import sqlite3

import pytest

from bridge.errors import PermissionRequired, WhatsAppError, WhatsAppRefused
from bridge.providers.cloud import outbound_calls
from bridge.providers.cloud.live import key_of_call
from bridge.stores.cloud import CloudStore
from tests.support.waiting import until
from tests.support.whatsapp.cloud_bench import (
    LINE,
    USER,
    CloudBench,
    answer,
    cloud_bench,
    over,
    status,
)
from tests.support.whatsapp.left_behind import dials, member, take_over

TIMEOUT = WhatsAppError("Meta did not answer in time")


@pytest.fixture
async def bench(tmp_path):
    async with cloud_bench(tmp_path) as made:
        yield made


async def dial_in_vain(bench, error=TIMEOUT, opaque="", number=USER):
    bench.graph.fails["connect"] = error
    with pytest.raises(type(error)):
        await bench.dial(opaque, number)
    del bench.graph.fails["connect"]


async def being_asked(bench, count=1):
    """Wait until Meta has been asked so often."""
    await until(lambda: len(bench.asked) >= count)


# Ringing


async def test_a_person_is_rung_with_the_calls_id_given_along(bench):
    leg = await bench.dial()
    assert leg.wacid == "wacid.1"
    assert bench.asked == [("connect", USER, "00ab")]
    assert await bench.live_at_metas() == ["wacid.1"]


async def test_what_the_customer_wants_back_is_given_along_instead(bench):
    await bench.dial("job-42")
    assert bench.asked == [("connect", USER, "job-42")]


async def test_each_step_that_meta_tells_reaches_the_leg(bench):
    leg = await bench.dial()
    bench.take(answer(), status("RINGING"))
    bench.take(status("ACCEPTED"))
    bench.take(over(answered=True))
    assert leg.told == ["answer their answer", "ringing", "accepted", "terminated remote_hangup"]
    assert await bench.live_at_metas() == []


async def test_what_meta_tells_before_it_answers_is_told_then(bench):
    gate = bench.graph.gates["connect"] = asyncio.Event()
    dialled = asyncio.create_task(bench.dial())
    await being_asked(bench)
    assert bench.take(status("ACCEPTED"), answer())
    gate.set()
    leg = await dialled
    assert leg.told == ["accepted", "answer their answer"]


@pytest.mark.parametrize(
    "error", [PermissionRequired("no", meta_code=138006), WhatsAppRefused("no", meta_code=100)]
)
async def test_a_refusal_leaves_nothing(bench, error):
    await dial_in_vain(bench, error)
    assert len(bench.provider.calls) == 0
    assert bench.asked == [("connect", USER, "00ab")]


async def test_a_caller_who_goes_away_meanwhile_leaves_no_telephone_ringing(bench):
    gate = bench.graph.gates["connect"] = asyncio.Event()
    dialled = asyncio.create_task(bench.dial())
    await being_asked(bench)
    dialled.cancel()
    await asyncio.gather(dialled, return_exceptions=True)
    gate.set()
    await bench.wait_idle()
    assert bench.asked[-1] == ("terminate", "wacid.1")
    assert await bench.live_at_metas() == []


# What nobody waits for


@pytest.mark.parametrize(
    "told",
    [answer(opaque="00ab"), answer(), status("RINGING", opaque="00ab"), status("ACCEPTED"),
     answer(opaque="00ab", person="")],
    ids=["answer", "answer without data", "ringing", "accepted without data", "no number"],
)  # fmt: skip
async def test_a_call_whose_connect_had_no_answer_is_ended_when_it_turns_up(bench, told):
    await dial_in_vain(bench)
    assert not bench.take(told)
    await bench.wait_idle()
    assert bench.asked[1:] == [("terminate", "wacid.1")]
    assert bench.counts["orphaned"] == 1
    assert await bench.live_at_metas() == []


async def test_it_is_ended_once_whatever_else_is_told_of_it(bench):
    await dial_in_vain(bench)
    bench.take(answer(opaque="00ab"), status("RINGING", opaque="00ab"))
    await bench.wait_idle()
    bench.take(status("ACCEPTED", opaque="00ab"))
    bench.take(over(answered=True))
    await bench.wait_idle()
    assert bench.asked[1:] == [("terminate", "wacid.1")]


async def test_it_is_ended_when_it_turned_up_before_meta_was_given_up(bench):
    gate = bench.graph.gates["connect"] = asyncio.Event()
    dialled = asyncio.create_task(dial_in_vain(bench))
    await being_asked(bench)
    assert bench.take(answer(opaque="00ab"))
    gate.set()
    await dialled
    await bench.wait_idle()
    assert bench.asked[1:] == [("terminate", "wacid.1")]


async def test_it_is_left_alone_when_it_is_over_by_itself(bench):
    gate = bench.graph.gates["connect"] = asyncio.Event()
    dialled = asyncio.create_task(dial_in_vain(bench))
    await being_asked(bench)
    bench.take(answer(opaque="00ab"), over())
    gate.set()
    await dialled
    await bench.wait_idle()
    assert bench.asked == [("connect", USER, "00ab")]


@pytest.mark.parametrize(
    "told",
    [answer(opaque="another's"), answer(person="15550103333"), status("RINGING", opaque="x")],
)
async def test_calls_of_others_with_the_same_number_are_left_alone(bench, told):
    await dial_in_vain(bench)
    assert bench.take(told)
    await bench.wait_idle()
    assert bench.asked == [("connect", USER, "00ab")]


async def test_a_refused_call_is_not_waited_for(bench):
    await dial_in_vain(bench, WhatsAppRefused("no", meta_code=131030))
    assert bench.take(answer(opaque="00ab"))
    await bench.wait_idle()
    assert len(bench.asked) == 1


@pytest.mark.virtual_time
async def test_it_is_forgotten_after_a_while(bench):
    await dial_in_vain(bench)
    await asyncio.sleep(outbound_calls.ORPHAN_SECONDS)
    assert bench.take(answer(opaque="00ab"))
    await bench.wait_idle()
    assert len(bench.asked) == 1


async def test_the_same_call_tried_again_is_not_taken_for_it(bench):
    await dial_in_vain(bench, opaque="job-42")
    gate = bench.graph.gates["connect"] = asyncio.Event()
    dialled = asyncio.create_task(bench.dial("job-42"))
    await being_asked(bench, 2)
    assert bench.take(answer(opaque="job-42"))
    gate.set()
    leg = await dialled
    await bench.wait_idle()
    assert leg.told == ["answer their answer"]
    assert [words[0] for words in bench.asked] == ["connect", "connect"]


async def test_the_first_is_ended_when_meta_refuses_the_second_for_its_sake(bench):
    await dial_in_vain(bench, opaque="job-42")
    gate = bench.graph.gates["connect"] = asyncio.Event()
    refusal = WhatsAppRefused("there is a call with this person already", meta_code=138003)
    again = asyncio.create_task(dial_in_vain(bench, refusal, opaque="job-42"))
    await being_asked(bench, 2)
    bench.take(answer(opaque="job-42"))
    gate.set()
    await again
    await bench.wait_idle()
    assert bench.asked[2:] == [("terminate", "wacid.1")]


async def test_a_call_that_another_node_was_given_is_left_alone(bench):
    await dial_in_vain(bench)
    await bench.store.claim(key_of_call(LINE, "wacid.1"), LINE)
    bench.take(answer())
    await bench.wait_idle()
    assert len(bench.asked) == 1


async def test_suspected_orphans_are_bounded(bench, monkeypatch):
    monkeypatch.setattr(outbound_calls, "MAX_SUSPECTS", 1)
    await dial_in_vain(bench, number="15550103333")
    await dial_in_vain(bench)
    assert bench.take(answer(person="15550103333"))
    assert not bench.take(answer("wacid.2"))
    await bench.wait_idle()
    assert bench.asked[2:] == [("terminate", "wacid.2")]


# What a process was dialling when it was killed


async def killed_while_dialling(bench, opaque=""):
    """Leave the database as a process leaves it that ends while Meta is asked."""
    gate = bench.graph.gates["connect"] = asyncio.Event()
    dialled = asyncio.create_task(bench.dial(opaque))
    await being_asked(bench)
    successor = CloudBench(bench.database)
    await take_over(bench.database, member())
    await successor.provider.recover()
    return successor, gate, dialled


async def test_the_next_process_ends_what_the_last_was_dialling(bench):
    successor, gate, dialled = await killed_while_dialling(bench)
    assert not successor.take(status("RINGING", opaque="00ab"))
    await successor.wait_idle()
    assert successor.asked == [("terminate", "wacid.1")]
    assert successor.take(status("RINGING", "wacid.2", opaque="another's"))
    assert successor.take(answer("wacid.3"))
    gate.set()
    await dialled


async def test_what_is_dialled_in_peace_leaves_nothing_to_the_next_process(bench):
    await bench.dial()
    await dial_in_vain(bench, WhatsAppRefused("no", meta_code=100), opaque="job-42")
    await dial_in_vain(bench, opaque="job-43")
    await bench.wait_idle()
    assert await dials(bench.database) == []


async def test_a_dial_that_cannot_be_written_down_rings_nobody(bench, monkeypatch):
    async def full(*_):
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr(CloudStore, "begin_dial", full)
    with pytest.raises(sqlite3.OperationalError):
        await bench.dial()
    assert bench.asked == []
