"""Requests about a call that another node has taken over: they find it, while the former node lives and afterwards."""

import pytest

from bridge.call.model import CallId
from bridge.cluster.sockets import handover_socket_path
from bridge.settings.model import Admin
from bridge.stores import handover
from bridge.stores.nodes import Member
from bridge.wire.call_id import chirp
from tests.support.databases import insert_call
from tests.support.forwarding import Owner, data, post
from tests.support.inprocess import KEY, settings
from tests.support.two_nodes import two_nodes
from tests.support.waiting import until

ECHO = "15550100001"
ADMIN = {"token": "operators-own-credential"}


@pytest.fixture
async def nodes():
    async with two_nodes(settings(admin=Admin(keys=[ADMIN["token"]]))) as both:
        for node in both:
            path = handover_socket_path(node.folder, node.members.own.node)
            assert node.bridge.handovers.server is not None
            node.bridge.handovers.server.start(path)
        yield both


async def active(node) -> str:
    """Return a call of a node that is answered."""
    call_id = str((await data(node, "/call/dial", {"phone": ECHO}))["callId"])
    await until(lambda: node.bridge.manager.running(CallId(call_id)).machine.state == "active")
    return call_id


async def moved(nodes) -> str:
    """Return a call that began on the first node and is on the second."""
    first, second = nodes
    call_id = await active(first)
    first.bridge.cluster.handover.begin(second.members.own.node, "drain")
    await until(lambda: first.bridge.cluster.handover.handed == 1)
    await until(lambda: not first.bridge.cluster.handover.uncommitted)
    assert first.bridge.manager.running(CallId(call_id)) is None
    return call_id


async def state(node, call_id: str) -> str:
    response = await node.http.get(f"/call/{call_id}/quality", headers=KEY)
    return str((await response.json())["data"]["state"])


async def events_of(node, call_id: str) -> list[str]:
    await node.bridge.events.log.flush()
    page = await node.bridge.events.log.read(0, call_id=call_id)
    return [event.type for _, event in page]


async def test_both_nodes_find_it_under_every_form_of_its_id_and_list_it_once(nodes):
    call_id = await moved(nodes)
    for node in nodes:
        assert await state(node, call_id) == "active"
        assert await state(node, chirp(call_id)) == "active"
        listed = await node.http.get("/call/status", headers=KEY)
        assert [one["callId"] for one in (await listed.json())["data"]["calls"]] == [call_id]
    await data(nodes[0], "/call/hangup", {"callId": call_id})
    assert nodes[1].bridge.manager.running(CallId(call_id)) is None
    assert [await state(node, call_id) for node in nodes] == ["ended"] * 2


async def test_its_events_are_complete_and_it_has_one_end(nodes):
    call_id = await moved(nodes)
    await data(nodes[1], "/call/hangup", {"callId": call_id})
    types = await events_of(nodes[0], call_id)
    assert types.count("call.recovered") == types.count("call.ended") == 1
    assert types.index("call.active") < types.index("call.recovered") < types.index("call.ended")
    assert len(types) == len(set(types))
    counted = 'bridge_calls_recovered_total{cause="drain",node="1"} 1.0'
    assert counted in await nodes[1].metrics()


async def test_the_end_of_its_former_node_does_not_end_it(nodes):
    first, second = nodes
    call_id = await moved(nodes)
    second.members.update([second.members.own], [first.members.own])
    await until(lambda: second.members.find(0) is None)
    await second.bridge.events.database.flush()
    assert await state(second, call_id) == "active"
    await data(second, "/call/hangup", {"callId": call_id})
    assert (await events_of(second, call_id)).count("call.ended") == 1


async def test_a_new_node_with_the_former_ones_number_passes_requests_on(nodes):
    first, second = nodes
    call_id = await moved(nodes)
    # As a process that has just been started: it knows of no handover.
    first.bridge.cluster.handover.moved.clear()
    assert await state(first, call_id) == "active"
    forwarded = await first.http.get(f"/call/{32 * '0'}/quality", headers=KEY)
    assert forwarded.status == 404
    owner = await first.bridge.events.database.read(handover.owner, call_id)
    assert owner == second.members.own.node


async def test_whoever_has_passed_it_on_knows_better_than_who_asks(nodes):
    call_id = await moved(nodes)
    # As one that has read from the database, a moment before, that the first has it.
    answer = await nodes[1].bridge.cluster.siblings.send(
        0, "GET", f"/call/{call_id}/quality", headers=KEY | {"Bridge-Moved": "7"}, body=None
    )
    async with answer:
        assert (await answer.json())["data"]["state"] == "active"


async def test_a_drain_with_handover_names_the_successor_and_empties_the_node(nodes):
    first, second = nodes
    call_id = await active(first)
    answer = await second.http.post("/nodes/0/drain", json={"handover": True}, headers=ADMIN)
    assert await answer.json() == {"node": 0, "calls": 1, "seconds": None, "successor": 1}
    await until(first.bridge.drain.done.is_set)
    assert await state(second, call_id) == "active"


async def test_without_another_node_that_takes_calls_a_drain_waits_as_ever(nodes):
    first, second = nodes
    second.members.update([second.members.own], [first.members.own])
    call_id = await active(second)
    answer = await second.http.post("/nodes/1/drain", json={"handover": True}, headers=ADMIN)
    assert (await answer.json())["successor"] is None
    assert await state(second, call_id) == "active"


async def test_a_request_during_the_handover_waits_until_it_is_decided(nodes):
    first, second = nodes
    call_id = await active(first)
    first.bridge.cluster.handover.begin(second.members.own.node, "drain")
    answers = [
        await post(first, "/call/mute", {"callId": call_id, "muted": True}) for _ in range(20)
    ]
    assert {answer.status for answer in answers} == {200}
    await until(lambda: second.bridge.manager.running(CallId(call_id)) is not None)


FIVE = "05" + 30 * "A"
"""A call that began on a node 5, which nothing answers for any more, and is on the second."""


@pytest.fixture
async def owner():
    return Owner()


@pytest.mark.parametrize("draining", [False, True])
async def test_a_call_of_a_node_that_has_just_ended_is_found_where_it_is(owner, draining, caplog):
    async with two_nodes(routes=owner.routes) as (first, second):
        database = first.bridge.events.database
        await database.run(lambda it: insert_call(it, FIVE, second.members.own))
        vars(second.bridge.manager)["running"] = lambda _: object()
        ended = Member(node=5, boot="five", draining=draining)
        first.members.update([first.members.own, second.members.own, ended], [])
        answer = await first.http.put("/test", json={"callId": FIVE}, headers=KEY)
        assert await answer.json() == {"passed on": True}
        [arrived] = owner.requests
        assert arrived.app is second.bridge.application
        # Whoever passes its calls on is not asked first.
        assert ("sibling.unreachable" in caplog.text) is not draining
