"""The live table of consoles: all of it first, then what has changed."""

import asyncio
import json
from contextlib import ExitStack, aclosing
from typing import Any

import msgspec
import pytest

from bridge.errors import LimitExceeded
from bridge.node.console.console import LineHealth, LiveCall, NodeFigures, Snapshot
from bridge.node.console.live_table import MAX_WATCHERS, REFRESH_SECONDS, LiveTable
from bridge.stores.nodes import Member


def call(call_id="A", **changed: Any) -> LiveCall:
    fixed = {"direction": "outbound", "state": "active", "from_": "", "to": "+1", "tag": ""}
    figures: dict[str, Any] = {
        "started_at": 1,
        "answered_at": None,
        "legs": [],
        "muted": False,
        "problems": [],
    }
    audio = {"heard": None, "said": None, "mos": 4.4}
    return LiveCall(
        **({"call_id": call_id, "node": 0, "line": "sales", **fixed, **figures, **audio} | changed)
    )


class View:
    """A node whose snapshots are made up."""

    def __init__(self, *snapshots):
        self.snapshots = list(snapshots)
        self.asked = 0
        self.lost: list[NodeFigures] = []

    async def snapshot(self, *, history=False):
        self.asked += 1
        calls = self.snapshots.pop(0) if len(self.snapshots) > 1 else self.snapshots[0]
        return Snapshot(
            calls, NodeFigures(0, "ready"), [LineHealth("sales", "simulator", [], "on")], self.lost
        )


pytestmark = pytest.mark.virtual_time


def table_of(view: Any, siblings: Any = None, find: Any = lambda node: None) -> LiveTable:
    return LiveTable(view, siblings, find)


async def following(stream) -> Any:
    return json.loads(await anext(stream))


async def messages(table, count):
    found = []
    with table.watching():
        async with aclosing(table.follow()) as stream:
            async for message in stream:
                found.append(None if message is None else json.loads(message))
                if len(found) == count:
                    break
    await table.aclose()
    return found


async def test_only_what_has_changed_comes_after_the_whole_table():
    view = View([call("A"), call("B")], [call("A", mos=4.0)], [call("A", mos=4.0)])
    whole, change, quiet = await messages(table_of(view), 3)
    assert [row["callId"] for row in whole["calls"]] == ["A", "B"]
    assert whole["calls"][0]["mosHistory"] == [4.4]
    assert change["calls"] == [{"callId": "A", "mos": 4.0}]
    assert change["gone"] == ["B"]
    assert "nodes" not in change
    assert quiet is None


async def test_nothing_is_asked_while_nobody_watches():
    view = View([call()])
    table = table_of(view)
    await asyncio.sleep(5 * REFRESH_SECONDS)
    assert view.asked == 0
    await messages(table, 1)
    asked = view.asked
    await asyncio.sleep(5 * REFRESH_SECONDS)
    assert view.asked == asked


async def test_a_reader_that_missed_a_change_gets_the_whole_table_again():
    view = View(*([call(mos=score / 10)] for score in range(30, 45)))
    table = table_of(view)
    with table.watching():
        async with aclosing(table.follow()) as stream:
            assert (await following(stream))["all"]
            await asyncio.sleep(10 * REFRESH_SECONDS)
            assert (await following(stream))["all"]
    await table.aclose()


async def test_consoles_are_bounded():
    table = table_of(View([]))
    with ExitStack() as watchers:
        for _ in range(MAX_WATCHERS):
            watchers.enter_context(table.watching())
        with pytest.raises(LimitExceeded), table.watching():
            pass
    with table.watching():
        pass


class Siblings:
    """Another node, which answers as it is told."""

    def __init__(self, answers):
        self.answers = answers

    async def request_all(self, path, **query):
        return {1: self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]}


async def test_the_calls_of_a_node_that_does_not_answer_stay_and_the_node_is_silent():
    other = Snapshot([call("C", node=1)], NodeFigures(1, "ready"), [])
    siblings = Siblings([msgspec.json.encode(other), None])
    whole, change = await messages(table_of(View([call("A")]), siblings), 2)
    assert {row["callId"] for row in whole["calls"]} == {"A", "C"}
    assert "gone" not in change
    assert [node["state"] for node in change["nodes"]] == ["ready", "silent"]


async def test_lost_nodes_stand_below_the_others_until_they_have_a_successor():
    view = View([])
    view.lost = [
        NodeFigures(1, "lost", since=1),
        NodeFigures(2, "lost", since=2),
        NodeFigures(3, "lost", since=3),
    ]
    other = Snapshot([], NodeFigures(1, "ready"), [], [NodeFigures(2, "lost", since=2)])
    [whole] = await messages(table_of(view, Siblings([msgspec.json.encode(other)])), 1)
    shown = [(node["node"], node["state"]) for node in whole["nodes"]]
    assert shown == [(0, "ready"), (1, "ready"), (3, "lost"), (2, "lost")]


async def test_a_silent_node_is_shown_with_its_machine():
    member = Member(node=1, boot="b" * 16, url="http://10.0.0.5:8081")
    table = table_of(View([]), Siblings([None]), {1: member}.get)
    [whole] = await messages(table, 1)
    assert [node["machine"] for node in whole["nodes"]] == ["", "10.0.0.5"]


async def test_readers_end_with_the_bridge():
    table = table_of(View([call()]))
    with table.watching():
        async with aclosing(table.follow()) as stream:
            await anext(stream)
            await table.aclose()
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
