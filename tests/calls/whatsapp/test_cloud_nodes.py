"""WhatsApp calls of a bridge with two nodes: Meta's webhooks reach either, and either may be lost."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from bridge.settings.model import Data
from tests.calls.whatsapp.test_cloud import cloud_line
from tests.support import two_nodes as support
from tests.support.inprocess import Client, settings
from tests.support.two_nodes import Node, one_node_only, two_nodes
from tests.support.waiting import until, until_answer
from tests.support.whatsapp.graph_double import USER, DoubleCall, GraphDouble
from tests.support.whatsapp.graph_webhooks import connect_value, terminate_value

# They have two nodes of their own.
pytestmark = [pytest.mark.call, one_node_only]


@dataclass
class World:
    graph: GraphDouble
    nodes: tuple[Node, Node]
    settings: Any

    def client(self, node: int) -> Client:
        found = self.nodes[node]
        return Client(found.bridge, found.http, data=found.folder.parent)

    def reach(self, node: int) -> None:
        """Let Meta's webhooks come to this node from now on."""
        self.graph.webhook = str(self.nodes[node].http.make_url("/whatsapp/webhook"))

    def own(self, node: int) -> list[Any]:
        """The calls that a node has."""
        return list(self.nodes[node].bridge.manager.calls())

    async def ring(self, node: int, **more: Any) -> tuple[DoubleCall, str]:
        """Let a user ring, by a webhook at this node."""
        self.reach(node)
        user = await self.graph.ring(**more)
        await until(lambda: user.wacid in self.wacids(node))
        return user, str(self.wacids(node)[user.wacid])

    def wacids(self, node: int) -> dict[str, str]:
        """A node's calls by Meta's ids."""
        return {
            getattr(leg, "wacid", ""): runner.facts.call_id
            for runner in self.own(node)
            for leg in runner.legs()
        }

    async def become(self, call_id: str, state: str) -> None:
        """Wait until a call is in a state; both nodes must say so."""
        for node in (0, 1):
            client = self.client(node)

            async def is_so(client: Client = client) -> bool:
                return await client.state(call_id) == state

            await until_answer(is_so)


@asynccontextmanager
async def world():
    async with GraphDouble() as graph:
        chosen = settings(lines={"main": cloud_line(graph)})
        async with two_nodes(chosen) as nodes:
            yield World(graph, nodes, chosen)
            await graph.wait_idle()
    assert graph.complaints == []


@pytest.mark.parametrize("owner", [0, 1])
async def test_a_call_is_told_what_its_siblings_hear(owner):
    async with world() as meta:
        user, call_id = await meta.ring(owner)
        await meta.client(1 - owner).data("/call/answer", {"callId": call_id})
        await meta.become(call_id, "active")
        meta.reach(1 - owner)
        await meta.graph.hang_up(user)
        await meta.become(call_id, "gone")
        assert user.actions == ["pre_accept", "accept"]


@pytest.mark.parametrize("early", [True, False])
async def test_a_call_of_ours_goes_on_whose_webhooks_all_reach_the_other_node(early):
    async with world() as meta:
        meta.graph.early_answer = early
        meta.reach(1)
        call_id = await meta.client(0).dial(USER)
        assert len(meta.own(0)) == 1
        await meta.become(call_id, "ringing")
        await meta.graph.pick_up(meta.graph.last)
        await meta.become(call_id, "active")
        await meta.graph.hang_up(meta.graph.last)
        await meta.become(call_id, "gone")
        assert meta.graph.actions() == ["connect"]


async def test_a_ring_that_reaches_both_nodes_rings_once():
    async with world() as meta:
        user = meta.graph.begin(inbound=True, user=USER)
        value = connect_value(user, await user.media.offer(), "offer")
        for node in (0, 1, 0, 1):
            meta.reach(node)
            await meta.graph.tell(value)
        await until(lambda: user.actions == ["pre_accept"])
        await asyncio.sleep(0.1)
        assert len(meta.own(0)) + len(meta.own(1)) == 1
        assert user.actions == ["pre_accept"]


async def test_an_end_at_one_node_stops_the_ring_that_comes_to_the_other_after_it():
    async with world() as meta:
        user = meta.graph.begin(inbound=True, user=USER)
        value = connect_value(user, await user.media.offer(), "offer")
        user.state = "ENDED"
        meta.reach(0)
        await meta.graph.tell(terminate_value(user))
        await asyncio.sleep(0.1)
        meta.reach(1)
        await meta.graph.tell(value)
        await asyncio.sleep(0.1)
        assert meta.own(0) + meta.own(1) == []
        assert user.actions == []


async def test_a_telephone_that_rings_after_connect_had_no_answer_is_hung_up_by_either():
    async with world() as meta:
        meta.reach(1)
        meta.graph.slow_seconds["connect"] = 25.0
        answer = await meta.client(0).post("/call/dial", {"phone": USER})
        assert answer.status == 502
        await until(lambda: meta.graph.last.state == "ENDED")
        await asyncio.sleep(0.1)
        assert meta.graph.last.actions == ["terminate"]


async def test_a_node_that_starts_anew_ends_the_calls_it_was_cut_off_from_and_no_other():
    async with world() as meta, AsyncExitStack() as stack:
        cut_off, _ = await meta.ring(1)
        other, other_id = await meta.ring(0, user="15550103333")
        for node in meta.nodes:
            await node.bridge.events.database.flush()
        folder = meta.nodes[0].folder.parent
        again = msgspec.structs.replace(meta.settings, data=Data(dir=str(folder)))
        await support._run(stack, again, support.restarted(meta.nodes[1].members), None, ())
        await until(lambda: cut_off.state == "ENDED")
        assert cut_off.actions[-1] == "terminate"
        assert await meta.client(0).state(other_id) == "ringing"
        assert other.actions == ["pre_accept"]
