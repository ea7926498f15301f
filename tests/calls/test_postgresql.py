"""Whole calls of a bridge whose database is PostgreSQL, as clients and receivers of webhooks see them."""

from typing import Any

import pytest

from bridge.db import table_copy
from bridge.settings.model import Data, Net
from tests.support.clients.event_stream import listening
from tests.support.clients.vendor import ECHO as CONTACT
from tests.support.clients.vendor import SALES, two_lines
from tests.support.inprocess import KEY, running, settings
from tests.support.peers.stock_peer import StockPeer
from tests.support.servers.receiver import receiving
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until, until_answer

ECHO, TALKS = "15550100001", "15550100002"
STATES = ["call.initiated", "call.ringing", "call.answered", "call.active", "call.ended"]

pytestmark = [pytest.mark.call, pytest.mark.postgresql]


@pytest.fixture
def chosen(postgres_url):
    return {"data": Data(url=postgres_url), "net": Net(allow=["127.0.0.0/8"])}


async def test_a_call_is_heard_told_recorded_and_found(chosen):
    async with running(settings(**chosen)) as client, receiving() as hook, StockPeer() as peer:
        await client.data("/webhook", {"url": hook.url})
        async with listening(client, "/events") as stream:
            call_id = await client.dial(ECHO)
            await peer.call(client.exchange(call_id))
            await client.data("/call/record/start", {"callId": call_id})
            await stream.until_type("call.active")
            await client.data("/call/hangup", {"callId": call_id})
            await stream.until_type("call.ended")
        await until(lambda: len(hook.taken) >= len(stream.heard))
        kinds = [event["type"] for event in stream.heard]
        assert [kind for kind in kinds if kind in STATES] == STATES
        told = [taken.json["id"] for taken in hook.taken]
        assert [one for one in told if one in {event["id"] for event in stream.heard}] == [
            event["id"] for event in stream.heard
        ]

        async def kept():
            calls = (await client.data_of("/calls"))["calls"]
            return [call["callId"] for call in calls] == [call_id]

        await until_answer(kept)
        recordings = (await client.data_of(f"/call/{call_id}/recordings"))["recordings"]
        assert {one["status"] for one in recordings} == {"completed"}


async def test_a_call_of_wavix_is_told_to_its_webhook_and_listed(chosen):
    async with running(two_lines(**chosen)) as client, receiving() as hook:
        ask: Any = {"params": {"appid": SALES}}
        body = {"url": hook.url, "event_type": "on-call"}
        assert (await client.http.post("/v1/calls/webhooks", json=body, **ask)).status == 201
        order = {"from": "15550109000", "to": CONTACT}
        call = await (await client.http.post("/v1/call", json=order, **ask)).json()
        [runner] = client.bridge.manager.calls()
        await until(lambda: runner.machine.state == "active")
        await client.http.delete(f"/v1/call/{call['id']}", **ask)
        await until(lambda: len(hook.taken) == 4)
        types = [taken.json["event_type"] for taken in hook.taken]
        assert types == ["call_setup", "ringing", "answered", "completed"]
        assert {taken.json["uuid"] for taken in hook.taken} == {call["uuid"]}


@one_node_only
async def test_nothing_of_an_erased_call_is_left_in_any_table(chosen):
    async with running(settings(**chosen)) as client, receiving() as hook:
        hook.answer = lambda taken: 500
        await client.data("/webhook", {"url": hook.url})
        call_id = await client.dial(TALKS)
        await client.data("/call/record/start", {"callId": call_id})
        await client.data("/call/hangup", {"callId": call_id})
        await until(lambda: hook.refused)

        def traces(connection):
            return [
                name
                for name in table_copy.names()
                for row in connection.execute(f"SELECT * FROM {name}")
                if call_id in repr(row) or TALKS in repr(row)
            ]

        database = client.bridge.events.database
        assert {"events", "deliveries", "call_records"} <= {*await database.run(traces)}

        async def erased():
            return (await client.http.delete(f"/calls/{call_id}", headers=KEY)).status == 200

        await until_answer(erased)
        assert await database.run(traces) == []
