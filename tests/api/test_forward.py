"""Requests about a call that another node owns."""

import asyncio

import aiohttp
import msgspec
import pytest
from yarl import URL

from bridge.cluster.sockets import node_socket_path, socket_path
from bridge.settings.model import Http, Limits
from bridge.stores.directory import FOLDER
from bridge.wire.call_id import chirp, wavix
from tests.support.forwarding import LARGE, NEVER, SECOND, Owner, data, dial, listed, post
from tests.support.inprocess import KEY, settings, with_limits
from tests.support.two_nodes import two_nodes
from tests.support.waiting import until


@pytest.fixture
async def owner():
    return Owner()


@pytest.fixture
async def nodes(owner):
    async with two_nodes(routes=owner.routes) as both:
        yield both


# Whose call it is


async def test_a_calls_id_names_its_node(nodes):
    assert [(await dial(node))[:2] for node in nodes] == ["00", "01"]


async def test_every_node_lists_the_calls_of_all_oldest_first(nodes):
    ids = [await dial(node) for node in (*nodes, *nodes)]
    for node in nodes:
        assert await listed(node) == ids


@pytest.mark.parametrize("spelling", ["callId", "callID", "CallID", "call_id"])
async def test_a_request_that_names_the_call_in_its_body_reaches_its_node(nodes, spelling):
    first, second = nodes
    call_id = await dial(second)
    await data(first, "/call/hangup", {spelling: call_id})
    assert list(second.bridge.manager.calls()) == []


async def test_a_request_that_names_the_call_in_its_path_reaches_its_node(nodes):
    first, second = nodes
    call_id = await dial(second)
    response = await first.http.get(f"/call/{call_id}/quality", headers=KEY)
    assert (await response.json())["data"]["state"] == "ringing"


@pytest.mark.parametrize("form", [chirp, wavix])
async def test_a_call_is_found_on_its_node_by_every_form_of_its_id(nodes, form):
    first, second = nodes
    call_id = form(await dial(second))
    response = await first.http.get(f"/call/{call_id}/quality", headers=KEY)
    assert (await response.json())["data"]["state"] == "ringing"
    await data(first, "/call/hangup", {"callId": call_id})
    assert list(second.bridge.manager.calls()) == []


async def test_what_is_passed_on_arrives_as_it_was_sent(nodes, owner):
    first, _ = nodes
    body = f'{{"callId": "{SECOND}", "more": "é"}}'
    response = await first.http.put(
        URL("/test?a=%2Fb&a=c", encoded=True), data=body.encode(), headers=KEY | {"X-More": "yes"}
    )
    assert await response.json() == {"passed on": True}
    assert response.headers["X-Told"] == "yes"
    [arrived] = owner.requests
    assert arrived.raw_path == "/test?a=%2Fb&a=c"
    assert (await arrived.read()).decode() == body
    assert arrived.headers["X-More"] == "yes"


async def test_both_nodes_log_a_request_under_the_id_that_the_client_is_told(nodes, owner):
    response = await nodes[0].http.put("/test", json={"callId": SECOND}, headers=KEY)
    [arrived] = owner.requests
    assert response.headers.getall("X-Request-ID") == [arrived.headers["X-Request-ID"]]


async def test_a_client_cannot_choose_the_id_of_its_request(nodes):
    mine = {"X-Request-ID": "mine"}
    response = await nodes[0].http.get("/call/status", headers=KEY | mine)
    assert response.headers["X-Request-ID"] != "mine"


async def test_a_request_is_counted_where_it_came_and_only_there(nodes):
    await nodes[0].http.put("/test", json={"callId": SECOND}, headers=KEY)
    text = await nodes[1].metrics()
    counted = [line for line in text.splitlines() if "http_requests" in line and '"/test"' in line]
    assert len(counted) == 1
    assert 'node="0"' in counted[0]


async def test_a_page_of_another_origin_gets_the_headers_once(nodes):
    call_id = await dial(nodes[1])
    body = {"callId": call_id}
    response = await post(nodes[0], "/call/hangup", body, Origin="https://app.example")
    assert response.status == 401 or response.headers.getall("Access-Control-Allow-Origin") == [
        "https://app.example"
    ]
    assert response.headers.getall("Vary") == ["Origin"]


async def test_a_stranger_is_answered_where_it_came(nodes, owner):
    response = await nodes[0].http.put("/test", json={"callId": SECOND}, headers={"token": "no"})
    assert await response.json() == {"passed on": False}


@pytest.mark.parametrize("call_id", [SECOND, "7F" + SECOND[2:], "01", "no id", "", 32 * "Z"])
async def test_a_call_that_nobody_has_is_a_404_on_every_node(nodes, call_id):
    for node in nodes:
        response = await post(node, "/call/answer", {"callId": call_id or "x"})
        assert response.status == 404


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"callId": 1}', b'{"callId": {}}', b"\xff"])
async def test_a_body_that_names_no_call_is_judged_where_it_came(nodes, body):
    response = await nodes[0].http.post("/call/hangup", data=body, headers=KEY)
    assert response.status == 400


async def test_a_large_answer_arrives_whole(nodes):
    response = await nodes[0].http.get(f"/call/{SECOND}/test/large", headers=KEY)
    assert await response.read() == LARGE


async def test_an_answer_in_pieces_arrives_as_it_is_written(nodes, owner):
    response = await nodes[0].http.get(f"/call/{SECOND}/test/pieces", headers=KEY)
    assert await response.content.readany() == b"one"
    owner.go_on.set()
    assert await response.read() == b"two"


async def test_an_answer_that_is_cut_short_is_seen_to_be(nodes):
    async with nodes[0].http.get(f"/call/{SECOND}/test/torn", headers=KEY) as response:
        with pytest.raises(aiohttp.ClientError):
            await response.read()


# What holds over all nodes


async def test_the_limit_of_calls_holds_over_all_nodes():
    async with two_nodes(with_limits(calls=2)) as (first, second):
        call_id = await dial(first)
        await dial(second)
        for node in (first, second):
            assert (await post(node, "/call/dial", {"phone": NEVER})).status == 503
        text = await first.metrics()
        for index in (0, 1):
            assert f'bridge_calls_refused_total{{reason="calls",node="{index}"}} 1.0' in text
        # Through the wrong node, and used up by the right one at once.
        await data(second, "/call/hangup", {"callId": call_id})
        await dial(second)


async def test_the_limit_of_a_line_holds_over_all_nodes():
    async with two_nodes(with_limits(calls_per_line=1)) as (first, second):
        await dial(first)
        assert (await post(second, "/call/dial", {"phone": NEVER})).status == 503


async def test_the_limit_of_a_key_holds_over_all_nodes_and_counts_a_request_once():
    async with two_nodes(with_limits(requests_per_minute=4)) as (first, second):
        call_id = await dial(second)
        for node in (first, second, first):
            assert (await node.http.get(f"/call/{call_id}/quality", headers=KEY)).status == 200
        for node in (first, second):
            response = await node.http.get("/call/status", headers=KEY)
            assert response.status == 429
            assert int(response.headers["Retry-After"]) > 0
            assert response.headers["X-RateLimit-Remaining"] == "0"


async def test_a_node_without_much_room_places_calls_on_the_one_with_more():
    # Each carries half of ten: the fifth call of the first goes where there are fewer.
    async with two_nodes(with_limits(calls=10)) as (first, second):
        ids = [await dial(first) for _ in range(5)]
        assert [call_id[:2] for call_id in ids] == 4 * ["00"] + ["01"]
        assert len(list(second.bridge.manager.calls())) == 1


async def test_an_unreachable_number_leaves_no_count(nodes):
    assert (await post(nodes[0], "/call/dial", {"phone": "15550100006"})).status == 502
    assert await nodes[1].bridge.cluster.directory.find(SECOND) is None
    assert await listed(nodes[1]) == []


# An owner that is gone


def vanish(node) -> None:
    """Take a node's socket away, as if its process were gone."""
    socket_path(node.folder, 1).unlink()
    node_socket_path(node.folder, 1).unlink()


async def test_a_call_whose_owner_does_not_answer_is_a_503_that_says_when_to_retry(nodes):
    first, second = nodes
    call_id = await dial(second)
    vanish(second)
    response = await post(first, "/call/hangup", {"callId": call_id})
    assert response.status == 503
    assert response.headers["Retry-After"] == "1"
    assert (await response.json())["data"] == {"reason": "call_node_unavailable"}


async def test_a_call_of_a_lost_node_has_ended_as_node_lost_for_the_others(nodes):
    first, second = nodes
    call_id = await dial(second)
    vanish(second)
    first.members.update([first.members.own], [second.members.own])
    response = await first.http.get(f"/call/{call_id}/quality", headers=KEY)
    assert (await response.json())["data"]["endReason"] == "node_lost"
    assert (await post(first, "/call/hangup", {"callId": call_id})).status == 404


async def test_a_request_waits_for_a_node_that_has_joined_too_lately_to_be_known(nodes):
    first, second = nodes
    call_id = await dial(second)
    both = [first.members.own, second.members.own]
    first.members.update(both[:1], [])
    asyncio.get_running_loop().call_later(0.15, first.members.update, both, [])
    assert (await post(first, "/call/hangup", {"callId": call_id})).status == 200


async def test_an_owner_that_goes_while_it_answers_is_a_503(nodes):
    first, second = nodes
    call_id = await dial(second)
    response = await first.http.get(f"/call/{call_id}/test/hangs", headers=KEY)
    assert response.status == 503


async def test_a_node_that_is_missing_makes_the_bridge_not_ready(nodes):
    first, second = nodes
    assert (await second.http.get("/readyz")).status == 200
    vanish(second)
    assert (await first.http.get("/readyz")).status == 503


async def test_a_call_whose_node_cannot_be_reached_begins_where_it_was_asked_for(monkeypatch):
    async with two_nodes(with_limits(calls=10)) as (first, _):

        async def send(*_, **__):
            raise aiohttp.ConnectionTimeoutError

        monkeypatch.setattr(first.bridge.cluster.siblings, "send", send)
        assert {(await dial(first))[:2] for _ in range(5)} == {"00"}


async def test_a_node_that_is_missing_gets_no_new_calls():
    async with two_nodes(with_limits(calls=10)) as (first, second):
        vanish(second)
        ids = [await dial(first) for _ in range(6)]
        assert {call_id[:2] for call_id in ids} == {"00"}


async def test_a_siblings_own_routes_are_not_there_for_clients(nodes):
    for path in ("/node/calls?line=demo", "/node/ready", "/node/metrics"):
        assert (await nodes[0].http.get(path, headers=KEY)).status == 404


async def test_limits_of_one_node_are_those_of_the_bridge():
    chosen = msgspec.structs.replace(settings(), limits=Limits(calls=5), http=Http())
    async with two_nodes(chosen) as (first, _):
        text = await first.metrics()
    assert 'bridge_calls_limit{node="1"} 5.0' in text


async def test_sockets_of_nodes_lie_in_the_data_folder_for_their_owner_alone(nodes):
    path = socket_path(nodes[0].folder, 0)
    assert path.parent.name == FOLDER
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_call_that_ends_by_itself_is_known_to_all_as_ended(nodes):
    first, second = nodes
    call_id = await dial(second, "15550100005")
    await until(lambda: not list(second.bridge.manager.calls()))
    response = await first.http.get(f"/call/{call_id}/quality", headers=KEY)
    assert (await response.json())["data"]["endReason"] == "rejected"
