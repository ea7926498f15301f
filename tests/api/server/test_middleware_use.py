"""Calls that are left by their last browser, and calls that never had one."""

import asyncio

import msgspec
import pytest

from bridge.call.model import EndReason
from bridge.settings.model import Line
from tests.support.inprocess import KEY, running, with_limits
from tests.support.peers.light_peer import LightPeer
from tests.support.waiting import until

pytestmark = [pytest.mark.call, pytest.mark.usefixtures("nodes")]

ECHO = "15550100001"
SHORT = {"abandoned_seconds": 20.0}


def machine_of(client, call_id):
    return next(
        one.machine for one in client.bridge.manager.calls() if one.facts.call_id == call_id
    )


def seconds_left(client, call_id) -> float:
    """How long the call has until a time limit ends it."""
    return float(machine_of(client, call_id).deadline() - asyncio.get_running_loop().time())


async def left_by_its_browser(client) -> str:
    """A call that a browser was in; it has just gone."""
    call_id = str(await client.dial(ECHO))
    async with LightPeer() as browser:
        await browser.call(client.exchange(call_id))
    await until(lambda: machine_of(client, call_id).legs.near() == [])
    return call_id


async def record(client, call_id) -> None:
    await client.data("/call/record/start", {"callId": call_id})


async def mute(client, call_id) -> None:
    await client.data("/call/mute", {"callId": call_id, "muted": False})


async def tag(client, call_id) -> None:
    response = await client.http.patch(f"/v1/call/{call_id}", json={"tag": "used"}, headers=KEY)
    assert response.status == 200, await response.text()


async def open_a_socket(client, call_id) -> None:
    async with client.http.ws_connect(f"/call/{call_id}/stream?token=demo") as socket:
        await socket.receive()


@pytest.mark.parametrize("use", [record, mute, tag, open_a_socket])
async def test_a_call_that_is_used_after_its_browser_has_left_continues(use):
    async with running(with_limits(**SHORT)) as client:
        call_id = await left_by_its_browser(client)
        assert seconds_left(client, call_id) <= 20
        await use(client, call_id)
        assert seconds_left(client, call_id) > 60
        assert await client.state(call_id) == "active"


async def test_a_call_that_is_recorded_when_its_browser_goes_lives_on():
    async with running(with_limits(**SHORT)) as client:
        call_id = str(await client.dial(ECHO))
        await until(lambda: machine_of(client, call_id).state == "active")
        await record(client, call_id)
        async with LightPeer() as browser:
            await browser.call(client.exchange(call_id))
        await until(lambda: machine_of(client, call_id).legs.near() == [])
        assert seconds_left(client, call_id) > 60


async def test_a_call_whose_socket_has_closed_lives_on_as_it_never_had_a_browser():
    async with running(with_limits(**SHORT)) as client:
        call_id = str(await client.dial(ECHO))
        await until(lambda: machine_of(client, call_id).state == "active")
        await open_a_socket(client, call_id)
        await until(lambda: machine_of(client, call_id).legs.near() == [])
        assert seconds_left(client, call_id) > 60


async def test_reading_a_call_and_a_browsers_goodbye_are_no_use():
    async with running(with_limits(**SHORT)) as client:
        call_id = await left_by_its_browser(client)
        await client.quality(call_id)
        await client.post("/call/webrtc/close", {"callID": call_id})
        assert seconds_left(client, call_id) <= 20


async def test_a_request_of_another_line_is_no_use():
    lines = {"demo": Line(keys=["demo"]), "other": Line(keys=["other"])}
    chosen = with_limits(**SHORT)
    async with running(msgspec.structs.replace(chosen, lines=lines)) as client:
        call_id = await left_by_its_browser(client)
        response = await client.post(
            "/call/hangup", {"callId": call_id}, headers={"token": "other"}
        )
        assert response.status == 404
        assert seconds_left(client, call_id) <= 20


async def test_a_call_that_its_line_records_by_itself_ends_when_left_alone():
    async with running(with_limits(abandoned_seconds=0.1)) as client:
        response = await client.http.put("/call/config", json={"callRecord": True}, headers=KEY)
        assert response.status == 200
        await client.data("/session/connect", {})
        call_id = await left_by_its_browser(client)
        await client.until_state(call_id, "gone")
        assert (await client.quality(call_id))["endReason"] == EndReason.HANGUP
