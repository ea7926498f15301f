"""Calls between the channels of the Chirp face, where contacts are simulated: each pair is heard."""

from functools import partial
from typing import Any

import pytest

from tests.api.faces.chirp.test_calls import bridge, chirp, created, exchange, reached, ticket
from tests.support.clients.vendor import ECHO, NUMBER, SALES, TALKS, UNREACHABLE
from tests.support.peers.stock_peer import StockPeer
from tests.support.sound.speech_compare import tone
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until, until_answer

__all__ = ["bridge", "chirp"]
pytestmark = [pytest.mark.usefixtures("nodes"), pytest.mark.virtual_time, one_node_only]


@pytest.mark.parametrize("to_channel", ["pstn", "whatsapp"])
@pytest.mark.parametrize("from_channel", ["pstn", "whatsapp", "webrtc"])
@pytest.mark.parametrize("to", [ECHO, "15550200001"])
async def test_every_channel_rings_contacts_and_telephones(chirp, from_channel, to_channel, to):
    own = "webrtc-user-1" if from_channel == "webrtc" else NUMBER
    body = {"from": own, "fromChannel": from_channel, "to": f"+{to}", "toChannel": to_channel}
    call = await reached(chirp, (await created(chirp, body))["id"], "in_progress")
    assert (call["fromChannel"], call["toChannel"]) == (from_channel, to_channel)
    assert (call["fromAddress"], call["toAddress"]) == (own, f"+{to}")


async def test_a_telephone_talks_with_the_browser_that_it_calls(bridge, chirp):
    call = await created(chirp, {"from": NUMBER, "to": "bob", "toChannel": "webrtc"})
    assert (call["status"], call["fromChannel"], call["toChannel"]) == ("ringing", "pstn", "webrtc")
    found = await ticket(chirp, call["livekitRoomName"], "bob")
    async with StockPeer(tone(10)) as bob:
        await bob.call(exchange(bridge, found))
        await reached(chirp, call["id"], "in_progress")
        await until(lambda: abs(bob.heard()).max(initial=0) > 1000)
        telephone = {"kind": "sip", "party": "near"}
        await until_answer(partial(hears, bridge, call["id"], telephone))


async def test_a_telephone_talks_with_the_whatsapp_user_that_it_calls(bridge, chirp):
    body = {"from": NUMBER, "to": f"+{TALKS}", "toChannel": "whatsapp"}
    call = await reached(chirp, (await created(chirp, body))["id"], "in_progress")
    for party in ({"kind": "sip", "party": "near"}, {"kind": "simulator", "party": "far"}):
        await until_answer(partial(hears, bridge, call["id"], party))


async def test_a_telephone_ends_the_call_that_it_made(bridge, chirp):
    body = {"from": NUMBER, "to": f"+{TALKS}", "toChannel": "whatsapp"}
    call = await reached(chirp, (await created(chirp, body))["id"], "in_progress")
    found = await quality(bridge, call["id"])
    [telephone] = [leg["legID"] for leg in found["legs"] if leg["party"] == "near"]
    remove = {"type": "remove_participant", "participantId": telephone}
    assert (await chirp.post(f"/v1/calls/{call['id']}/commands", remove))[0] == 200
    assert (await reached(chirp, call["id"], "completed"))["endReason"] == "hangup"


async def test_a_telephone_that_calls_nobody_reachable_is_a_502(chirp):
    body = {"from": NUMBER, "to": f"+{UNREACHABLE}", "toChannel": "whatsapp"}
    status, answer = await chirp.post("/v1/calls", body)
    assert (status, set(answer)) == (502, {"error", "callId"})
    _, call = await chirp.get(f"/v1/calls/{answer['callId']}")
    assert (call["status"], call["endReason"]) == ("failed", "unreachable")


async def quality(bridge, call_id: str) -> dict[str, Any]:
    answer = await bridge.get(f"/call/{call_id}/quality", headers={"token": SALES})
    return dict((await answer.json())["data"])


async def hears(bridge, call_id: str, party: dict[str, str]) -> bool:
    """Whether a party is sent something that can be heard."""
    found = await quality(bridge, call_id)
    [leg] = [leg for leg in found["legs"] if leg.items() >= party.items()]
    return bool(leg["sent"]["levelDbov"] > -50)
