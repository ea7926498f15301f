"""A ticket is one party's: with it nobody takes another's place, legs, transcripts or digits."""

from typing import Any

import msgspec
import pytest
from aiohttp import WSServerHandshakeError

from bridge.call import events
from bridge.call.model import LegId
from bridge.node.publisher import new_event
from bridge.wire.call_event import EventType
from tests.support.clients.event_stream import listening
from tests.support.inprocess import KEY, running
from tests.support.packets.offers import ANSWERABLE, offer
from tests.support.peers.bridge_peer import RoamingPeer
from tests.support.sampling import sample_calls
from tests.support.two_nodes import nodes as nodes
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("nodes")

OFFER = offer(ANSWERABLE[0])
METADATA = {"customer": "C-123"}


@pytest.fixture
async def client():
    async with running() as client:
        yield client


@pytest.fixture
async def call_id(client) -> str:
    """A call of a person at the caller's side with one in a browser, who both have tokens."""
    parties = {"from": "agent-1", "fromChannel": "webrtc", "to": "guest", "toChannel": "webrtc"}
    response = await client.post("/v1/calls", parties | {"metadata": METADATA})
    assert response.status == 200, await response.text()
    room = (await response.json())["livekitRoomName"]
    return str((await token(client, room, "guest"))["callId"])


async def token(client, room: str, identity: str) -> dict[str, Any]:
    body = {"roomName": room, "participantIdentity": identity}
    response = await client.post("/v1/calls/token", body)
    assert response.status == 200, await response.text()
    found: dict[str, Any] = await response.json()
    return found


async def as_party(client, call_id: str, identity: str) -> dict[str, str]:
    """Headers with the Chirp token of a party of the call."""
    return {"token": (await token(client, call_id, identity))["token"]}


async def ticket(client, call_id: str, **wanted: object) -> dict[str, str]:
    """Headers with a native ticket."""
    return {"token": (await client.data(f"/call/{call_id}/ticket", wanted))["ticket"]}


async def ask_offer(client, call_id: str, headers: dict[str, str], **more: object):
    body = {"callID": call_id, "type": "offer", "sdp": OFFER, **more}
    return await client.post("/call/webrtc/offer", body, headers=headers)


async def joined(client, call_id: str, headers: dict[str, str], **more: object) -> str:
    response = await ask_offer(client, call_id, headers, **more)
    assert response.status == 200, await response.text()
    return str((await response.json())["legID"])


def runner_of(client, call_id: str):
    return next(one for one in client.bridge.manager.calls() if one.facts.call_id == call_id)


def legs_of(client, call_id: str) -> set[str]:
    return {str(leg_id) for leg_id in runner_of(client, call_id).machine.legs.records}


async def test_a_far_partys_token_does_not_join_as_near(client, call_id):
    guest = await as_party(client, call_id, "guest")
    response = await ask_offer(client, call_id, guest, party="near")
    assert response.status == 403, await response.text()
    assert legs_of(client, call_id) == set()


async def test_a_ticket_joins_as_the_party_that_it_is_for_where_the_offer_names_none(
    client, call_id
):
    guest = await as_party(client, call_id, "guest")
    leg_id = await joined(client, call_id, guest)
    assert runner_of(client, call_id).machine.legs.records[LegId(leg_id)].role.party == "far"


@pytest.mark.parametrize("whose", ["agent", "key"])
async def test_a_ticket_does_not_take_the_place_of_a_leg_that_it_did_not_make(
    client, call_id, whose
):
    headers = KEY if whose == "key" else await as_party(client, call_id, "agent-1")
    agents = await joined(client, call_id, headers)
    for stranger in (
        await as_party(client, call_id, "guest"),
        await as_party(client, call_id, "agent-2"),
        await ticket(client, call_id),
    ):
        response = await ask_offer(client, call_id, stranger, legID=agents)
        assert response.status == 403, await response.text()


@pytest.mark.parametrize("whose", ["agent", "key"])
async def test_a_ticket_does_not_close_a_leg_that_it_did_not_make(client, call_id, whose):
    headers = KEY if whose == "key" else await as_party(client, call_id, "agent-1")
    agents = await joined(client, call_id, headers)
    guest = await as_party(client, call_id, "guest")
    own = await joined(client, call_id, await as_party(client, call_id, "agent-2"))
    response = await client.post(
        "/call/webrtc/close", {"callID": call_id, "legID": agents}, headers=guest
    )
    assert response.status == 403
    response = await client.post("/call/webrtc/close", {"callID": call_id}, headers=guest)
    assert response.status == 200
    assert legs_of(client, call_id) == {agents, own}


async def test_closing_without_a_leg_closes_the_tickets_own_legs(client, call_id):
    first = await as_party(client, call_id, "agent-1")
    second = await as_party(client, call_id, "agent-2")
    await joined(client, call_id, first)
    await joined(client, call_id, first)
    others = await joined(client, call_id, second)
    await client.post("/call/webrtc/close", {"callID": call_id}, headers=first)
    assert legs_of(client, call_id) == {others}


async def test_another_ticket_of_the_same_party_and_identity_owns_its_legs(client, call_id):
    old = await ticket(client, call_id, identity="agent-1", ttl=600)
    renewed = await ticket(client, call_id, identity="agent-1", ttl=601)
    assert old != renewed
    async with RoamingPeer() as page:
        exchange = client.exchange(call_id, key=old["token"])
        await page.call(exchange)
        again = client.exchange(call_id, key=renewed["token"], legID=exchange.leg_id)
        await page.restart(again)
    body = {"callID": call_id, "legID": exchange.leg_id}
    response = await client.post("/call/webrtc/close", body, headers=renewed)
    assert response.status == 200
    await until(lambda: legs_of(client, call_id) == set())


async def test_the_lines_key_steers_every_leg(client, call_id):
    leg_id = await joined(client, call_id, await as_party(client, call_id, "agent-1"))
    assert (await ask_offer(client, call_id, KEY, legID=leg_id)).status == 200
    body = {"callID": call_id, "legID": leg_id}
    assert (await client.post("/call/webrtc/close", body)).status == 200
    assert legs_of(client, call_id) == set()


async def test_a_far_partys_ticket_opens_no_media_socket(client, call_id):
    guest = (await as_party(client, call_id, "guest"))["token"]
    for path in (f"/call/{call_id}/stream", f"/api/v1/sessions/demo/calls/{call_id}/media"):
        with pytest.raises(WSServerHandshakeError) as refused:
            await client.http.ws_connect(f"{path}?token={guest}")
        assert refused.value.status == 403


async def test_only_who_was_invited_takes_the_place_of_the_near_parties(client, call_id):
    agents = await joined(client, call_id, await as_party(client, call_id, "agent-1"))
    command = {"type": "transfer", "to": "boss", "toChannel": "webrtc"}
    response = await client.post(f"/v1/calls/{call_id}/commands", command)
    assert response.status == 200, await response.text()
    thief = await ticket(client, call_id, party="transfer", identity="thief")
    assert (await ask_offer(client, call_id, thief)).status in (403, 409)
    boss = await as_party(client, call_id, "boss")
    taken = await joined(client, call_id, boss, party="transfer")
    assert legs_of(client, call_id) == {agents, taken}


def tell_secrets(client, call_id: str) -> None:
    """Have happen to the call what belongs to its near side only."""
    runner = runner_of(client, call_id)
    log = client.bridge.events.log
    for kind, data in {
        "transcript": {"role": "caller", "text": "my account is 4711#0815"},
        "recording.ready": {"mediaKey": "rec/1.wav"},
        "digits.collected": {"digits": "4711#0815"},
        "not.known.yet": {"secret": "4711#0815"},
    }.items():
        event = new_event(EventType.TRANSCRIPT, runner.facts.line, runner.record(), data)
        log.append(msgspec.structs.replace(event, type=kind))


async def told(client, call_id: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    """All that a ticket is told of a call from its beginning to its end."""
    async with listening(client, f"/call/{call_id}/events", headers=headers) as stream:
        await client.data("/call/hangup", {"callId": call_id})
        await stream.until_type("call.ended")
        return stream.heard


async def test_a_far_party_reads_neither_transcripts_nor_digits_nor_metadata(client, call_id):
    guest = await as_party(client, call_id, "guest")
    agents = await joined(client, call_id, await as_party(client, call_id, "agent-1"))
    own = await joined(client, call_id, guest)
    for leg_id in (agents, own):
        runner_of(client, call_id).dispatch(events.DigitReceived(LegId(leg_id), "7"))
    tell_secrets(client, call_id)
    heard = await told(client, call_id, guest)
    assert "4711#0815" not in str(heard)
    assert "C-123" not in str(heard)
    assert agents not in str(heard)
    assert [event["data"]["legID"] for event in heard if event["type"] == "digit.received"] == [own]
    assert {"call.initiated", "call.ended", "leg.joined"} <= {event["type"] for event in heard}


async def test_the_near_party_reads_transcripts_but_no_digits_of_the_far_one(client, call_id):
    agent = await as_party(client, call_id, "agent-1")
    far = await joined(client, call_id, await as_party(client, call_id, "guest"))
    runner_of(client, call_id).dispatch(events.DigitReceived(LegId(far), "7"))
    tell_secrets(client, call_id)
    heard = await told(client, call_id, agent)
    types = [event["type"] for event in heard]
    assert "transcript" in types
    assert "digit.received" not in types
    assert "digits.collected" not in types
    assert "not.known.yet" not in types
    assert "C-123" not in str(heard)


async def test_a_ticket_shows_the_figures_of_its_own_partys_legs(client, call_id):
    guest = await as_party(client, call_id, "guest")
    own = await joined(client, call_id, guest)
    agents = await joined(client, call_id, await as_party(client, call_id, "agent-1"))
    sample_calls(client.bridge.manager, 0.0)
    sample_calls(client.bridge.manager, 1.0)
    response = await client.get(f"/call/{call_id}/quality", headers=guest)
    text = await response.text()
    assert own in text
    assert agents not in text


async def test_a_ticket_dies_with_its_call(client, call_id):
    tickets = [
        await as_party(client, call_id, "guest"),
        await as_party(client, call_id, "agent-1"),
        await ticket(client, call_id, ttl=86400),
    ]
    for headers in tickets:
        assert (await client.get("/call/webrtc/config", headers=headers)).status == 200
    await client.data("/call/hangup", {"callId": call_id})
    for headers in tickets:
        for path in ("/call/webrtc/config", f"/call/{call_id}/quality", f"/call/{call_id}/events"):
            response = await client.get(path, headers=headers)
            assert response.status == 401, path
            assert "ended" in (await response.json())["error"]
        assert (await ask_offer(client, call_id, headers)).status == 404


@pytest.mark.parametrize("field", ["party", "identity"])
async def test_a_ticket_for_no_party_or_an_identity_that_cannot_be_is_a_400(client, call_id, field):
    for value in ("x\ny", "ÿ" * 129, 7):
        response = await client.post(f"/call/{call_id}/ticket", {field: value})
        assert (response.status, (await response.json())["field"]) == (400, field)
