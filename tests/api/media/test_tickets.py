"""Tickets: what they open, for how long, and what they do not."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from aiohttp import WSServerHandshakeError

from bridge.settings.model import Line
from bridge.wire import call_id as spelling
from tests.support.inprocess import running, settings, with_limits
from tests.support.packets.offers import ANSWERABLE, offer

pytestmark = pytest.mark.usefixtures("nodes")

NEVER = "15550100003"
OFFER = offer(ANSWERABLE[0])
TWO_LINES = {"sales": Line(keys=["sales-1"]), "support": Line(keys=["support-1"])}


async def issue(client, call_id: str) -> str:
    given = await client.data(f"/call/{call_id}/ticket", {})
    return str(given["ticket"])


@pytest.fixture
async def call_id(client) -> str:
    return str(await client.dial(NEVER))


@pytest.fixture
async def ticket(client, call_id) -> str:
    return await issue(client, call_id)


async def test_a_ticket_is_good_for_ten_minutes(client, call_id):
    given = await client.data(f"/call/{call_id}/ticket", {})
    assert given["expiresAt"].endswith("Z")
    left = datetime.fromisoformat(given["expiresAt"]) - datetime.now(UTC)
    assert timedelta(seconds=590) < left <= timedelta(seconds=600)


async def test_a_ticket_may_be_asked_for_longer(client, call_id):
    given = await client.data(f"/call/{call_id}/ticket", {"ttl": 86400})
    left = datetime.fromisoformat(given["expiresAt"]) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)


@pytest.mark.parametrize("ttl", [59, 86401, "600", 600.5, True])
async def test_a_length_out_of_bounds_is_a_400_that_names_it(client, call_id, ttl):
    response = await client.post(f"/call/{call_id}/ticket", {"ttl": ttl})
    assert response.status == 400
    assert (await response.json())["field"] == "ttl"


@pytest.mark.parametrize("how", ["token", "Bearer"])
async def test_a_ticket_opens_the_webrtc_routes_and_the_figures_of_its_call(
    client, call_id, ticket, how
):
    sent = {"token": ticket} if how == "token" else {"Authorization": f"Bearer {ticket}"}
    assert (await client.get("/call/webrtc/config", headers=sent)).status == 200
    wanted = {"callID": call_id, "type": "offer", "sdp": OFFER}
    response = await client.post("/call/webrtc/offer", wanted, headers=sent)
    assert response.status == 200, await response.text()
    leg = (await response.json())["legID"]
    assert (await client.get(f"/call/{call_id}/quality", headers=sent)).status == 200
    close = {"callID": call_id, "legID": leg}
    assert (await client.post("/call/webrtc/close", close, headers=sent)).status == 200


@pytest.mark.parametrize("form", ["chirp", "wavix"])
async def test_a_ticket_knows_its_call_in_every_form_of_its_id(client, call_id, ticket, form):
    spelt = getattr(spelling, form)(call_id)
    response = await client.get(f"/call/{spelt}/quality", headers={"token": ticket})
    assert response.status == 200


async def test_a_ticket_does_not_open_another_call(client, ticket):
    other = await client.dial(NEVER)
    sent = {"token": ticket}
    assert (await client.get(f"/call/{other}/quality", headers=sent)).status == 403
    for path, more in (("offer", {"type": "offer", "sdp": OFFER}), ("close", {})):
        body = {"callID": other, **more}
        assert (await client.post(f"/call/webrtc/{path}", body, headers=sent)).status == 403


async def test_a_ticket_neither_starts_nor_steers_calls(client, call_id, ticket):
    sent = {"token": ticket}
    bodies = {
        "/call/dial": {"phone": NEVER},
        "/call/make": {"Phone": NEVER},
        "/call/hangup": {"callId": call_id},
        "/call/answer": {"callId": call_id},
        f"/call/{call_id}/ticket": {},
        "/simulator/incoming": {"from": NEVER},
    }
    for path, body in bodies.items():
        assert (await client.post(path, body, headers=sent)).status == 403, path
    assert (await client.get("/call/status", headers=sent)).status == 403
    assert len(await client.calls()) == 1


@pytest.mark.parametrize("where", ["query", "header"])
async def test_a_ticket_opens_the_events_of_its_call_and_not_those_of_the_line(
    client, call_id, ticket, where
):
    query = f"?token={ticket}" if where == "query" else ""
    sent = {"headers": {} if query else {"token": ticket}}
    async with client.http.get(f"/call/{call_id}/events{query}", **sent) as stream:
        assert stream.status == 200
        assert stream.content_type == "text/event-stream"
    other = await client.dial(NEVER)
    for path in (f"/call/{other}/events", "/events"):
        assert (await client.http.get(path + query, **sent)).status == 403


async def test_a_ticket_opens_the_media_socket_of_its_call(client, call_id, ticket):
    async with client.http.ws_connect(f"/call/{call_id}/stream?token={ticket}") as socket:
        assert not socket.closed
    other = await client.dial(NEVER)
    with pytest.raises(WSServerHandshakeError) as refused:
        await client.http.ws_connect(f"/call/{other}/stream?token={ticket}")
    assert refused.value.status == 403


async def test_a_ticket_in_the_query_does_not_count_where_headers_can_be_set(
    client, call_id, ticket
):
    response = await client.get(f"/call/{call_id}/quality?token={ticket}", headers={})
    assert response.status == 401


async def test_a_ticket_that_has_run_out_is_a_401_that_says_so(client, call_id):
    tickets = client.bridge.access.tickets
    line = next(iter(client.bridge.manager.calls())).facts.line
    text, _ = tickets.issue(line, call_id, -1, party="near", identity="")
    response = await client.get(f"/call/{call_id}/quality", headers={"token": text})
    assert response.status == 401
    assert "expired" in (await response.json())["error"]


async def test_a_changed_ticket_is_a_401(client, call_id, ticket):
    worse = ticket[:-10] + ("A" if ticket[-10] != "A" else "B") + ticket[-9:]
    response = await client.get(f"/call/{call_id}/quality", headers={"token": worse})
    assert response.status == 401


@pytest.mark.parametrize("call", ["00" + 30 * "F", "no-call"])
async def test_there_is_no_ticket_for_a_call_that_is_not_there(client, call):
    assert (await client.post(f"/call/{call}/ticket", {})).status == 404


async def test_there_is_no_ticket_for_a_call_that_has_ended(client, call_id):
    await client.data("/call/hangup", {"callId": call_id})
    assert (await client.post(f"/call/{call_id}/ticket", {})).status == 404


async def test_there_is_no_ticket_without_a_key(client, call_id):
    assert (await client.post(f"/call/{call_id}/ticket", {}, headers={})).status == 401


async def test_a_line_gets_no_ticket_for_anothers_call():
    async with running(settings(lines=TWO_LINES)) as client:
        mine, theirs = {"token": "sales-1"}, {"token": "support-1"}
        response = await client.post("/call/dial", {"phone": NEVER}, headers=mine)
        call_id = (await response.json())["data"]["callId"]
        response = await client.post(f"/call/{call_id}/ticket", {}, headers=theirs)
        assert response.status == 404


async def test_the_tickets_of_a_line_share_one_limit():
    chosen = msgspec.structs.replace(with_limits(requests_per_minute=3), lines=TWO_LINES)
    async with running(chosen) as client:
        key = {"token": "sales-1"}
        response = await client.post("/call/dial", {"phone": NEVER}, headers=key)
        call_id = (await response.json())["data"]["callId"]
        texts = []
        for _ in range(2):
            response = await client.post(f"/call/{call_id}/ticket", {}, headers=key)
            texts.append((await response.json())["data"]["ticket"])
        statuses = [
            (await client.get("/call/webrtc/config", headers={"token": text})).status
            for text in 2 * texts
        ]
        assert statuses == [200, 200, 200, 429]
