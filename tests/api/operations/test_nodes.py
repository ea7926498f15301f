"""The list of nodes."""

from types import SimpleNamespace

import pytest

from bridge import __version__
from bridge.node.console.console import NodeFigures
from bridge.settings.model import Admin
from tests.support.forwarding import dial
from tests.support.inprocess import KEY, running, settings
from tests.support.two_nodes import SECRET, two_nodes

ADMIN = {"token": "operators-own-credential"}


def chosen():
    return settings(admin=Admin(keys=[ADMIN["token"]]))


async def listed(node):
    answer = await node.http.get("/nodes", headers=ADMIN)
    assert answer.status == 200
    text = await answer.text()
    assert SECRET not in text
    return (await answer.json())["nodes"]


async def test_a_single_node_is_listed():
    async with running(chosen()) as client:
        [node] = await listed(client)
    assert (node["id"], node["state"], node["version"]) == (0, "ready", __version__)
    assert node["load"]["calls"] == 0


async def test_every_machine_lists_the_nodes_of_all_with_their_load():
    async with two_nodes(chosen(), machines=True) as (first, second):
        await dial(second)
        for machine in (first, second):
            nodes = await listed(machine)
            assert [(one["id"], one["state"]) for one in nodes] == [(0, "ready"), (1, "ready")]
            assert [one["load"]["calls"] for one in nodes] == [0, 1]
            assert [one["address"] for one in nodes] == ["127.0.0.1"] * 2


async def test_a_draining_node_says_so_to_all():
    async with two_nodes(chosen(), machines=True) as (first, second):
        await dial(second)
        answer = await first.http.post("/nodes/1/drain", json={"seconds": 50}, headers=ADMIN)
        assert (await answer.json())["calls"] == 1
        assert [one["state"] for one in await listed(first)] == ["ready", "draining"]


async def test_a_node_that_does_not_answer_is_listed_as_silent():
    async with two_nodes(chosen(), machines=True, secrets=(SECRET, SECRET[::-1])) as (first, _):
        nodes = await listed(first)
    assert [(one["id"], one["state"]) for one in nodes] == [(0, "ready"), (1, "silent")]
    assert nodes[1]["machine"] == nodes[1]["address"] == "127.0.0.1"


async def test_a_lost_node_is_listed_for_a_while():
    async with two_nodes(chosen(), machines=True) as (first, second):
        lost = NodeFigures(7, "lost", machine="other", since=1_790_000_000_000)
        vars(second.bridge.node.view)["lost"] = SimpleNamespace(recent=lambda: [lost])
        nodes = await listed(first)
    assert [(one["id"], one["state"]) for one in nodes][2:] == [(7, "lost")]
    assert nodes[2]["since"] == "2026-09-21T14:13:20.000Z"


@pytest.mark.parametrize("headers", [{}, KEY])
async def test_only_the_admin_key_opens_it(headers):
    async with running(chosen()) as client:
        assert (await client.http.get("/nodes", headers=headers)).status in (401, 403)
