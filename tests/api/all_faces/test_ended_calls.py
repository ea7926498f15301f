"""A call that has ended, as each vendor's clients find it."""

import asyncio

import pytest

from tests.support.inprocess import KEY
from tests.support.packets.offers import ANSWERABLE, offer
from tests.support.sampling import sample_calls
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("nodes")

ECHO, TALKS = "15550100001", "15550100002"


@pytest.fixture
async def ended(client) -> str:
    """A call that was hung up."""
    call_id = str(await client.dial(ECHO))
    await client.data("/call/hangup", {"callId": call_id})
    return call_id


FORGETTING = [
    ("POST", "/call/answer", {}),
    ("POST", "/call/hangup", {}),
    ("POST", "/call/play", {"AudioFile": "files/a.wav"}),
    ("POST", "/call/play/stop", {}),
    ("POST", "/call/record", {}),
    ("POST", "/call/record/start", {}),
    ("POST", "/call/record/stop", {}),
    ("POST", "/call/record/pause", {}),
    ("POST", "/call/mute", {"muted": True}),
    ("POST", "/call/dtmf", {"digits": "1"}),
    ("POST", "/call/accept", {}),
    ("POST", "/call/reject", {}),
    ("POST", "/call/end", {}),
    ("POST", "/call/accept", {"call_from": "15550100001@s.whatsapp.net"}),
    ("POST", "/call/preaccept", {"call_from": "15550100001@s.whatsapp.net"}),
    ("POST", "/call/reject/send", {"call_from": "15550100001@s.whatsapp.net"}),
    ("POST", "/call/terminate", {"call_from": "15550100001@s.whatsapp.net"}),
    ("POST", "/call/webrtc/offer", {"type": "offer", "sdp": offer(ANSWERABLE[0])}),
    ("POST", "/call/{id}/ticket", {}),
    ("DELETE", "/v1/call/{id}", None),
    ("PATCH", "/v1/call/{id}", {"tag": "x"}),
    ("POST", "/v1/call/{id}/answer", {}),
    ("POST", "/v1/calls/{id}/answer", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), FORGETTING)
async def test_an_ended_call_is_unknown_to_zuckzapgo_wago_and_wavix(
    client, ended, method, path, body
):
    if body is not None and "{id}" not in path:
        body = {"callId": ended, "call_id": ended, **body}
    response = await client.http.request(method, path.format(id=ended), json=body, headers=KEY)
    assert response.status == 404, await response.text()
    assert "ended" in await response.text()


async def test_both_sides_may_hang_up_at_once(client):
    call_id = await client.dial(ECHO)
    ends = [client.post("/call/hangup", {"callId": call_id}) for _ in range(3)]
    assert sorted(reply.status for reply in await asyncio.gather(*ends)) == [200, 404, 404]


async def test_an_ended_calls_figures_and_events_stay(client, ended):
    assert (await client.quality(ended))["endReason"] == "hangup"
    response = await client.get(f"/call/{ended}/events")
    assert response.status == 200
    response.close()


@pytest.mark.parametrize("command", ["hangup", "mute", "start_recording"])
async def test_chirp_which_keeps_ended_calls_says_that_this_one_has_ended(client, ended, command):
    response = await client.post(f"/v1/calls/{ended}/commands", {"type": command})
    assert response.status == 409
    assert (await client.get(f"/v1/calls/{ended}")).status == 200


async def test_a_call_that_ended_while_it_was_recorded_tells_where_its_recording_is(client):
    call_id = await client.dial(TALKS)
    await client.data("/call/record/start", {"callId": call_id})
    await client.data("/call/hangup", {"callId": call_id})
    once = await client.data("/call/record/stop", {"callId": call_id})
    stopped = await client.data("/call/record/stop", {"callId": call_id})
    for told in (once, stopped):
        assert told["mediaKey"].endswith(f"{call_id}.wav")
        assert told["status"] == "completed"
        assert {track["kind"] for track in told["recordings"]} >= {"inbound", "mixed"}
    file = await client.get(stopped["recordings"][0]["url"])
    assert (await file.read())[:4] == b"RIFF"


async def test_what_is_left_of_a_recording_is_told_for_as_long_as_the_call_is_known(client):
    call_id = await client.dial(TALKS)
    await client.data("/call/record/start", {"callId": call_id})
    await client.data("/call/hangup", {"callId": call_id})
    await client.data("/call/record/stop", {"callId": call_id})
    manager = client.bridge.manager
    await until(lambda: not list(manager.calls()))
    sample_calls(manager, asyncio.get_running_loop().time() + 3601)
    response = await client.post("/call/record/stop", {"callId": call_id})
    assert response.status == 404
