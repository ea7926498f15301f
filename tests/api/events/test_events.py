"""Event streams: what a line's and a call's listeners hear, and what they do not."""

import asyncio

import pytest
from aiohttp import ClientPayloadError

from bridge.api.server import sse
from bridge.settings.model import Line
from tests.support.clients.event_stream import listening
from tests.support.inprocess import running, settings
from tests.support.two_nodes import one_node_only

pytestmark = [pytest.mark.usefixtures("nodes"), pytest.mark.virtual_time]

ECHO, BUSY = "15550100001", "15550100004"
LINES = {"demo": Line(keys=["demo"]), "other": Line(keys=["other"])}
OTHER = {"token": "other"}


@pytest.fixture
async def client():
    async with running(settings(lines=LINES)) as client:
        yield client


async def hang_up(client, call_id):
    await client.data("/call/hangup", {"callId": call_id})


async def test_a_calls_stream_begins_with_the_calls_beginning(client):
    call_id = await client.dial(ECHO)
    async with listening(client, f"/call/{call_id}/events") as stream:
        assert (await stream.next())["type"] == "call.initiated"
        await stream.until_type("call.active")
        await hang_up(client, call_id)
        ended = await stream.until_type("call.ended")
        assert ended["callId"] == call_id
        assert ended["call"]["endReason"] == "hangup"
        assert ended["data"]["reason"] == "hangup"


async def test_a_lines_stream_begins_with_now(client):
    before = await client.dial(ECHO)
    await hang_up(client, before)
    async with listening(client, "/events") as stream:
        call_id = await client.dial(ECHO)
        first = await stream.next()
        assert (first["type"], first["callId"]) == ("call.initiated", call_id)


async def test_who_was_cut_off_goes_on_behind_the_last_event_it_has(client):
    call_id = await client.dial(ECHO)
    async with listening(client, "/events?token=demo", headers={"Last-Event-ID": "0"}) as stream:
        first = await stream.next()
        number = stream.last_id
    await hang_up(client, call_id)
    async with listening(client, "/events", headers={"Last-Event-ID": number}) as stream:
        second = await stream.next()
        assert int(stream.last_id) > int(number)
        assert second["id"] != first["id"]
        await stream.until_type("call.ended")


async def test_the_stream_of_an_ended_call_tells_it_all_and_then_there_is_no_more(client):
    call_id = await client.dial(BUSY)
    async with listening(client, f"/call/{call_id}/events") as stream:
        await stream.until_type("call.ended")
        assert await stream.rest() == []
        number = stream.last_id
    again = await client.get(
        f"/call/{call_id}/events", headers={"token": "demo", "Last-Event-ID": number}
    )
    assert again.status == 204


async def test_no_line_hears_of_anothers_calls(client):
    call_id = await client.dial(ECHO)
    async with listening(client, "/events", headers=OTHER) as stream:
        await hang_up(client, call_id)
        own = (await (await client.post("/call/dial", {"phone": ECHO}, headers=OTHER)).json())[
            "data"
        ]["callId"]
        assert (await stream.next())["callId"] == own
    assert (await client.get(f"/call/{call_id}/events", headers=OTHER)).status == 404
    assert (await client.get("/api/v1/sessions/demo/events", headers=OTHER)).status == 404


async def test_a_key_is_needed_and_may_stand_in_the_query(client):
    assert (await client.http.get("/events")).status == 401
    assert (await client.http.get("/events?token=wrong")).status == 401
    async with listening(client, "/events?token=demo", headers={}):
        pass


async def test_a_last_event_id_that_is_none_is_refused(client):
    sent = {"token": "demo", "Last-Event-ID": "evt_1"}
    assert (await client.get("/events", headers=sent)).status == 400


async def test_a_page_of_an_allowed_origin_may_read_the_stream(client):
    async with listening(client, "/events", headers={"Origin": "https://shop.example"}) as stream:
        headers = stream.response.headers
        assert headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert headers["Content-Type"] == "text/event-stream"


async def test_a_quiet_stream_is_kept_alive(client):
    async with listening(client, "/events") as stream:
        assert await stream.line_that_begins(":")


async def test_a_reader_that_takes_nothing_is_cut_off_and_counted(client, monkeypatch):
    async def stuck(response, piece):
        raise TimeoutError

    monkeypatch.setattr(sse, "_write", stuck)
    response = await client.get("/events")
    with pytest.raises(ClientPayloadError):
        await response.content.read()
    assert await client.total("bridge_event_streams_cut_total") == 1


async def test_listeners_are_counted_and_forgotten(client):
    async with listening(client, "/events"):
        async with asyncio.timeout(5):
            while await client.total("bridge_event_listeners") != 1:
                await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        while await client.total("bridge_event_listeners") != 0:
            await client.data("/call/hangup", {"callId": await client.dial(ECHO)})
            await asyncio.sleep(0.1)  # the virtual clock stands still while requests are answered


async def test_a_reply_that_announces_an_end_comes_when_the_end_is_on_disk(client):
    call_id = await client.dial(ECHO)
    await hang_up(client, call_id)
    log = client.bridge.events.log
    page = await log.read(0, "demo", call_id)
    assert page[-1][1].type == "call.ended"


@one_node_only  # the other node stays
async def test_streams_end_with_the_bridge():
    async with running() as client:
        response = await client.get("/events")
        await client.bridge.aclose()
        async with asyncio.timeout(5):
            await response.content.read()
