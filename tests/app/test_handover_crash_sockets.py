"""Sockets, streams and agents go on from older copies, as if the process that had them had been killed."""

import asyncio

import pytest

from bridge.call.model import LegKind
from bridge.settings.model import Limits, Net
from tests.support.clients.pcm_client import pcm_client
from tests.support.handover.moving_calls import moving_calls
from tests.support.servers.stream_customer import customer_server
from tests.support.waiting import until

pytestmark = [pytest.mark.call, pytest.mark.virtual_time]

TALKS, SILENT = "15550100002", "15550100008"


@pytest.fixture
async def calls():
    limits = Limits(overload_seconds=0.0, resume_seconds=4.0)
    async with moving_calls(limits=limits, net=Net(allow=["127.0.0.0/8"])) as calls:
        yield calls


async def active(calls, contact=TALKS):
    call_id = await calls.client.dial(contact)
    await calls.client.until_state(call_id, "active")
    return call_id


async def die(calls, call_id):
    """Crash a second after a copy was made; return what is adopted."""
    copy = calls.copy(call_id)
    await asyncio.sleep(1.0)
    return await calls.crash(call_id, copy, silent=1.0)


async def test_a_client_of_a_socket_connects_again_and_one_that_does_not_is_lost(calls):
    call_id = await active(calls)
    path = f"/call/{call_id}/stream?token=demo"
    async with (
        pcm_client(calls.client.http, f"{path}&resume=mine") as mine,
        pcm_client(calls.client.http, path) as other,
    ):
        await until(lambda: mine.sound and other.sound)
        await mine.send(b"\xe8\x03" * 16_000 * 20)
        [first, _] = calls.legs(call_id, LegKind.SOCKET)
        await until(lambda: first.buffered_seconds > 15)
        assert calls.movable() == []
        adopted = await die(calls, call_id)
    assert [leg.lost for leg in adopted.legs] == [False, False, True]
    await until(lambda: (1, "leg.left") in calls.told)
    [waiting] = calls.legs(call_id, LegKind.SOCKET)
    assert (waiting.leg_id, waiting.reconnecting) == (first.leg_id, True)
    async with pcm_client(calls.client.http, f"{path}&resume=mine") as again:
        await until(lambda: again.sound)
        assert calls.legs(call_id, LegKind.SOCKET) == [waiting]
        assert waiting.buffered_seconds == 0


async def test_a_stream_goes_on_and_one_that_its_protocol_does_not_resume_ends_alone(calls):
    async with customer_server() as server:
        call_id = await active(calls)
        streams = f"/call/{call_id}/streams"
        both = {"streamUrl": server.url, "streamType": "oneway", "streamChannel": "both"}
        await calls.client.data(streams, both)
        first = await server.customer()
        twilio = {"streamUrl": server.url, "streamProtocol": "twilio"}
        await calls.client.data(streams, twilio)
        vendor = await server.customer(1)
        await until(lambda: first.of("media") and vendor.of("media"))
        assert calls.movable() == []
        await die(calls, call_id)
        again = await server.customer(2)
        await until(lambda: again.sound("inbound").any() and len(again.data("outbound")))
        assert again.of("start")[0]["resumed"] is True
        await until(lambda: (1, "leg.left") in calls.told)
        assert calls.told.count((1, "stream.ended")) == 1
        assert calls.events.count("stream.started") == 2
        assert await calls.client.state(call_id) == "active"
        assert len(calls.legs(call_id, LegKind.STREAM)) == 2


async def test_what_an_agent_was_saying_counts_as_interrupted(calls):
    call_id = await active(calls, SILENT)
    await calls.client.data("/call/agent/start", {"callId": call_id})
    [old] = calls.legs(call_id, LegKind.AGENT)
    await until(lambda: old.speaking)
    assert calls.movable() == []
    copy = calls.copy(call_id)
    await calls.crash(call_id, copy, silent=1.0)
    await until(lambda: (1, "agent.interrupted") in calls.told)
    [new] = calls.legs(call_id, LegKind.AGENT)
    assert new.leg_id == old.leg_id
