"""`POST /call/test`: a call to an echo, for whoever may join a call of the line."""

import msgspec
import pytest

from bridge.settings.line import WhatsApp
from bridge.settings.model import Line
from tests.support.inprocess import running, settings, with_limits
from tests.support.packets.offers import ANSWERABLE, offer

pytestmark = pytest.mark.usefixtures("nodes")

NEVER = "15550100003"
OFFER = offer(ANSWERABLE[0])


async def opened(client, **headers: str):
    """Open a test call and return its fields."""
    response = await client.post("/call/test", **({"headers": headers} if headers else {}))
    assert response.status == 200, await response.text()
    return (await response.json())["data"]


async def test_a_test_call_is_joined_with_its_ticket(client):
    call = await opened(client)
    assert call["seconds"] == 30
    sent = {"token": call["ticket"]}
    assert (await client.get("/call/webrtc/config", headers=sent)).status == 200
    wanted = {"callID": call["callId"], "type": "offer", "sdp": OFFER}
    response = await client.post("/call/webrtc/offer", wanted, headers=sent)
    assert response.status == 200, await response.text()
    async with client.http.ws_connect(
        f"/call/{call['callId']}/stream?token={call['ticket']}"
    ) as socket:
        assert not socket.closed


async def test_a_test_call_is_not_listed_and_unknown_after_its_end(client):
    call = await opened(client)
    assert await client.calls() == []
    await client.data("/call/hangup", {"callId": call["callId"]})
    listed = await (await client.get("/calls")).json()
    assert listed["data"]["calls"] == []
    response = await client.get(f"/call/{call['callId']}/quality")
    assert response.status == 404
    assert (await client.get(f"/call/{call['callId']}/diagnosis")).status == 404


async def test_its_ticket_ends_a_test_call_and_no_other_call(client):
    call = await opened(client)
    other = await client.dial(NEVER)
    own = {"token": call["ticket"]}
    for call_id, headers, status in (
        (other, own, 403),
        (other, {"token": "demo"}, 404),
        (call["callId"], own, 200),
        (call["callId"], {"token": "demo"}, 404),
    ):
        response = await client.http.delete(f"/call/test/{call_id}", headers=headers)
        assert response.status == status, await response.text()


async def test_a_ticket_of_a_live_call_opens_a_test_call(client):
    call_id = await client.dial(NEVER)
    ticket = (await client.data(f"/call/{call_id}/ticket", {}))["ticket"]
    await opened(client, token=ticket)
    await client.data("/call/hangup", {"callId": call_id})
    response = await client.post("/call/test", headers={"token": ticket})
    assert response.status == 401


async def test_the_ticket_of_a_test_call_opens_no_other(client):
    call = await opened(client)
    response = await client.post("/call/test", headers={"token": call["ticket"]})
    assert response.status == 403
    assert (await client.post("/call/test", headers={})).status == 401


@pytest.mark.parametrize("provider", ["cloud", "gateway"])
async def test_a_line_of_any_provider_can_be_tested(provider):
    known = {
        "cloud": {
            "phone_number_id": "1",
            "access_token": "token",
            "app_secret": "secret",
            "verify_token": "verify",
        },
        "gateway": {"dialect": "zuckzapgo", "url": "http://127.0.0.1:9", "token": "token"},
    }
    whatsapp = msgspec.convert({"provider": provider, **known[provider]}, WhatsApp)
    lines = {"sales": Line(keys=["sales-1"], numbers=["15550109000"], whatsapp=whatsapp)}
    async with running(settings(lines=lines)) as client:
        await opened(client, token="sales-1")


async def test_more_tests_than_the_limit_are_refused_until_one_has_ended():
    async with running(with_limits(tests_per_line=1)) as client:
        call = await opened(client)
        response = await client.post("/call/test")
        assert response.status == 429
        assert response.headers["Retry-After"] == "10"
        await client.data("/call/hangup", {"callId": call["callId"]})
        await opened(client)


async def test_a_line_that_is_switched_off_has_no_test_calls(client):
    await client.data("/session/disconnect", {})
    assert (await client.post("/call/test")).status == 409
