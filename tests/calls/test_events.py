"""Whole calls as those hear of them who listen: in order, on every node, through crashes."""

import asyncio
import sqlite3
import time

import pytest

from bridge.settings.model import Line, Net
from tests.support import server as servers
from tests.support.clients.event_stream import listening
from tests.support.inprocess import running, settings
from tests.support.peers.stock_peer import StockPeer
from tests.support.servers.receiver import receiving
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until, until_answer

ECHO = "15550100001"
OPEN = Net(allow=["127.0.0.0/8"])
LINES = {"demo": Line(keys=["demo"]), "other": Line(keys=["other"])}
STATES = ["call.initiated", "call.ringing", "call.answered", "call.active", "call.ended"]

pytestmark = pytest.mark.call


async def test_a_call_is_told_in_the_same_order_by_stream_and_webhook():
    async with running(settings(net=OPEN)) as client, receiving() as receiver, StockPeer() as peer:
        await client.data("/webhook", {"url": receiver.url})
        async with listening(client, "/events") as stream:
            call_id = await client.dial(ECHO)
            await peer.call(client.exchange(call_id))
            await stream.until_type("call.active")
            await client.data("/call/hangup", {"callId": call_id})
            await stream.until_type("call.ended")
        await until(lambda: len(receiver.taken) == len(stream.heard))
        told = [taken.json["id"] for taken in receiver.taken]
        assert told == [event["id"] for event in stream.heard]
        kinds = [event["type"] for event in stream.heard]
        assert [kind for kind in kinds if kind in STATES] == STATES
        assert {"leg.joined", "leg.connected", "leg.left"} <= set(kinds)
        assert len(set(told)) == len(told)


async def test_each_line_hears_of_its_own_calls_only():
    async with running(settings(net=OPEN, lines=LINES)) as client, receiving() as receiver:
        for key in ("demo", "other"):
            sent = {"url": f"{receiver.url}/{key}", "events": ["call.ended"]}
            await client.post("/webhook", sent, headers={"token": key})
        calls = {}
        for key in ("demo", "other"):
            headers = {"token": key}
            reply = await client.post("/call/dial", {"phone": ECHO}, headers=headers)
            calls[f"/{key}"] = (await reply.json())["data"]["callId"]
            await client.post("/call/hangup", {"callId": calls[f"/{key}"]}, headers=headers)
        await until(lambda: len(receiver.taken) == 2)
        assert {taken.path: taken.json["callId"] for taken in receiver.taken} == calls


@pytest.mark.real_time  # a retry is due at a wall time
async def test_a_receiver_that_comes_up_later_gets_the_whole_call():
    async with receiving() as gone:
        url = gone.url
    async with running(settings(net=OPEN)) as client:
        await client.data("/webhook", {"url": url, "events": STATES})
        call_id = await client.dial(ECHO)
        async with listening(client, f"/call/{call_id}/events") as stream:
            await stream.until_type("call.active")
        await client.data("/call/hangup", {"callId": call_id})
        async with receiving(port=int(url.rpartition(":")[2])) as receiver:
            await until(lambda: len(receiver.taken) == len(STATES), timeout=60)
            assert [taken.json["type"] for taken in receiver.taken] == STATES


@pytest.mark.real_time  # its bridge is another process
@one_node_only  # it runs a process of its own
async def test_nothing_that_was_confirmed_is_lost_when_the_bridge_is_killed(tmp_path):
    async with receiving() as receiver:
        receiver.answer = lambda taken: 503
        await asyncio.to_thread(_first_life, tmp_path, receiver.url)
        promised = _ids(tmp_path)
        receiver.answer = lambda taken: 200
        ended = await asyncio.to_thread(_second_life, tmp_path, receiver)
    told = [taken.json for taken in receiver.taken]
    assert promised <= {event["id"] for event in told}
    kinds = [event["type"] for event in told if event["callId"] == ended]
    assert kinds[-1] == "call.ended"
    lost = [event for event in told if event["data"].get("reason") == "node_lost"]
    assert len(lost) == 1
    assert lost[0]["callId"] != ended


def _first_life(folder, url):
    """Place a call that ends and one that does not, and be killed at the reply of the first's end."""
    allowed = {"NET__ALLOW": '["127.0.0.0/8"]', "SIMULATOR__RING_SECONDS": "0.05"}
    with servers.running(folder, **allowed) as server:
        server.post("/webhook", {"url": url})
        server.post("/call/dial", {"phone": ECHO})
        call = server.post("/call/dial", {"phone": ECHO})
        (folder / "ended").write_text(call["callId"])
        server.post("/call/hangup", {"callId": call["callId"]})
        server.process.kill()
        server.process.wait()


def _second_life(folder, receiver):
    """Run until all that was promised has been delivered; gives the call that ended."""
    promised = _ids(folder)
    with servers.running(folder, NET__ALLOW='["127.0.0.0/8"]'):
        for _ in range(200):
            told = {taken.json["id"] for taken in receiver.taken}
            lost = any(t.json["data"].get("reason") == "node_lost" for t in receiver.taken)
            if promised <= told and lost:
                break
            time.sleep(0.1)
    return (folder / "ended").read_text()


def _ids(folder):
    """The ids of all events on disk."""
    database = sqlite3.connect(f"file:{folder}/data/bridge.sqlite3?mode=ro", uri=True)
    try:
        rows = database.execute("SELECT json_extract(CAST(body AS TEXT), '$.id') FROM events")
        return {identity for (identity,) in rows}
    finally:
        database.close()


async def told_of_one_call(begin) -> list[str]:
    """Return the names that ZuckZapGo's webhook is told of a call that is answered and hung up."""
    async with running(settings(net=OPEN)) as client, receiving() as receiver:
        await client.data("/webhook", {"webhookurl": receiver.url, "events": ["Call"]})
        call_id = await begin(client)
        await client.post("/call/answer", {"callId": call_id})
        await until_answer(lambda: is_active(client, call_id))
        await client.data("/call/hangup", {"callId": call_id})
        await until(lambda: taken(receiver)[-1:] == ["v1.call.terminate"])
        return taken(receiver)


def taken(receiver) -> list[str]:
    return [sent.json["type"] for sent in receiver.taken]


async def is_active(client, call_id) -> bool:
    return bool(await client.state(call_id) == "active")


async def test_zuckzapgos_webhook_is_told_of_an_inbound_call_as_documented():
    async def rings(client):
        return (await client.data("/simulator/incoming", {"from": ECHO}))["callId"]

    names = await told_of_one_call(rings)
    assert names[0] == "v1.call.offer"
    assert names.count("v1.call.offer") == 1
    assert not {"v1.call.offer_notice", "v1.call.unknown"} & set(names)
    assert {"v1.call.accept", "v1.call.transport", "v1.call.relay_latency"} <= set(names)


async def test_zuckzapgos_webhook_is_not_told_of_an_outbound_call_as_if_it_rang():
    names = await told_of_one_call(lambda client: client.dial(ECHO))
    assert names[0] == "v1.call.preaccept"
    assert not any(name.startswith("v1.call.offer") for name in names)
