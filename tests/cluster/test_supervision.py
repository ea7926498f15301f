"""A node's link to its supervisor: what it is told, and what it reports."""

import asyncio
import io
import os
import sys

import msgspec
import pytest

from bridge.cluster.supervision import Supervision, read_order
from bridge.errors import SetupError
from bridge.supervisor.child import pipe
from bridge.wire.supervision import (
    Accept,
    BeginDrain,
    Calls,
    HandOver,
    Prepare,
    Process,
    Ready,
    Roster,
    Slot,
    Stop,
    serialize,
)
from tests.support.waiting import until


async def until_read(*conditions):
    for condition in conditions:
        await until(condition)


async def test_orders_are_performed_as_they_come_also_in_pieces():
    heard: list[object] = []
    with pipe() as (ours, theirs):
        link = Supervision(orders=ours, reports=-1)
        link.on_roster = heard.append
        link.on_accept = lambda accept: heard.append(accept.on)
        link.on_drain = lambda seconds, reason: heard.append((seconds, reason))
        link.on_handover = heard.append
        link.on_stop = lambda: heard.append("stop")
        running = asyncio.create_task(link.run())
        roster = Roster(nodes=[Process(0, "aa")], lost=[Process(1, "bb")])
        lines = serialize(roster) + serialize(Accept(on=True))
        lines += b'{"v": 1, "kind": "dance"}\nnonsense\n'
        lines += serialize(HandOver(node=4)) + serialize(BeginDrain(seconds=3.0, reason="upgrade"))
        lines += serialize(Stop())
        for start in range(0, len(lines), 7):
            os.write(theirs, lines[start : start + 7])
            await asyncio.sleep(0)
        await until_read(lambda: "stop" in heard)
        assert heard == [roster, True, 4, (3.0, "upgrade"), "stop"]
        running.cancel()


async def test_a_node_whose_supervisor_is_gone_stops():
    ours, theirs = os.pipe()
    link = Supervision(orders=ours, reports=-1)
    stopped = asyncio.Event()
    link.on_stop = stopped.set
    running = asyncio.create_task(link.run())
    await asyncio.sleep(0)
    os.close(theirs)
    async with asyncio.timeout(5):
        await stopped.wait()
        await running
    os.close(ours)


@pytest.mark.virtual_time
async def test_calls_are_reported_with_the_beats_when_they_change():
    with pipe() as (ours, theirs):
        calls = [2]
        beating = asyncio.create_task(
            Supervision(orders=-1, reports=theirs).send_heartbeats(lambda: Calls(calls=calls[0]))
        )
        await asyncio.sleep(0)
        assert os.read(ours, 4096) == b"\n" + serialize(Calls(calls=2))
        await asyncio.sleep(0.5)
        assert os.read(ours, 4096) == b"\n"
        calls[0] = 3
        await asyncio.sleep(0.5)
        assert os.read(ours, 4096) == b"\n" + serialize(Calls(calls=3))
        beating.cancel()


@pytest.mark.parametrize("gone", [True, False])
async def test_a_supervisor_that_is_gone_or_reads_nothing_holds_nobody_up(gone):
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    if gone:
        os.close(ours)
    else:
        while True:
            try:
                os.write(theirs, bytes(4096))
            except BlockingIOError:
                break
    link = Supervision(orders=-1, reports=theirs)
    link.report(Ready(node=0))
    beating = asyncio.create_task(link.send_heartbeats(lambda: Calls(calls=0)))
    await asyncio.sleep(0)
    assert not beating.done()
    beating.cancel()
    os.close(theirs)
    if not gone:
        os.close(ours)


def read(line: bytes, monkeypatch, tmp_path) -> Prepare | Slot:
    (tmp_path / "input").write_bytes(line)
    with (tmp_path / "input").open("rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        return read_order()


def test_a_slot_is_read_and_nothing_after_it(monkeypatch, tmp_path):
    sent = Slot(
        node=1,
        boot="aa",
        run="00",
        count=2,
        listeners=[5],
        ports="1-2",
        settings=msgspec.Raw(b"{}"),
    )
    assert read(serialize(sent) + serialize(Stop()), monkeypatch, tmp_path) == sent


def test_a_spare_is_told_so_instead(monkeypatch, tmp_path):
    sent = Prepare(settings=msgspec.Raw(b"{}"), pipe=4, keep=6)
    assert read(serialize(sent), monkeypatch, tmp_path) == sent


@pytest.mark.parametrize("line", [b"", b'{"v": 9, "kind": "slot"}\n', serialize(Stop())])
def test_a_node_that_is_told_no_slot_does_not_start(line, monkeypatch, tmp_path):
    with pytest.raises(SetupError):
        read(line, monkeypatch, tmp_path)
