"""Whole calls to the simulated telephones: over SIP and G.711, between two user agents of the process.

A refusal, and how it sounds, is the same on every node, and is tested on one.
"""

import numpy as np
import pytest

from bridge.log import request_id
from tests.support.clients.pcm_client import pcm_client
from tests.support.inprocess import KEY, running
from tests.support.sound.speech_compare import align
from tests.support.sound.voices import words
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until

TELEPHONE = "1555020000{}".format

pytestmark = pytest.mark.call


async def dialled(client, number, **more):
    answer = await client.post("/call/dial", {"phone": TELEPHONE(number), **more})
    return answer.status, await answer.json()


async def ended(client, number):
    status, answer = await dialled(client, number)
    assert status == 200
    call_id = answer["data"]["callId"]
    await client.until_state(call_id, "gone")
    diagnosis = await (await client.get(f"/call/{call_id}/diagnosis")).json()
    assert diagnosis["data"]["problems"] == []
    quality = await client.quality(call_id)
    return quality["endReason"]


@one_node_only
@pytest.mark.real_time
async def test_speech_comes_back_from_the_echo_over_the_telephone():
    said = words(0, 2.0)
    async with running() as client:
        call_id = await client.dial(TELEPHONE(1))
        await client.until_state(call_id, "active")
        async with pcm_client(client.http, f"/call/{call_id}/stream?token=demo") as socket:
            await until(lambda: socket.sound)
            await socket.speak(said)
            await until(lambda: len(socket.sound) > 50)
        [far] = [leg for leg in (await client.quality(call_id))["legs"] if leg["kind"] == "sip"]
    # Piece by piece: a busy machine may have delayed some of it.
    pieces = np.array_split(said, 4)
    assert max(align(piece, socket.heard()).correlation for piece in pieces) > 0.95
    assert (far["codec"], far["received"]["lost"]) == ("PCMU", 0)


@pytest.mark.parametrize("channel", ["whatsapp", "pstn"])
async def test_a_simulated_telephone_is_reached_over_sip_whatever_the_channel(channel):
    async with running() as client:
        _, answer = await dialled(client, 8, channel=channel)
        call_id = answer["data"]["callId"]
        await client.until_state(call_id, "active")
        found = await (await client.get(f"/calls/{call_id}")).json()
        assert found["data"]["toChannel"] == channel
        assert [leg["kind"] for leg in (await client.quality(call_id))["legs"]] == ["sip"]
        await client.data("/call/hangup", {"callId": call_id})
    assert client.ports.used == 0


@pytest.mark.parametrize(("number", "reason"), [(4, "busy"), (5, "rejected"), (7, "remote_hangup")])
async def test_telephones_end_calls_as_the_contacts_do(number, reason):
    async with running() as client:
        assert await ended(client, number) == reason
    assert client.ports.used == 0


async def test_a_telephone_that_nobody_answers_rings_until_our_side_gives_up():
    async with running() as client:
        _, answer = await dialled(client, 3)
        call_id = answer["data"]["callId"]
        await client.until_state(call_id, "ringing")
        await client.data("/call/hangup", {"callId": call_id})
        assert (await client.quality(call_id))["endReason"] == "canceled"
        await until(lambda: client.ports.used == 0)


@one_node_only
@pytest.mark.parametrize("number", [6, 77])
async def test_a_number_that_nobody_has_is_refused_with_the_trunks_words(number):
    async with running() as client:
        status, answer = await dialled(client, number)
        assert status == 502
        assert "SIP 404" in answer["error"]
        await until(lambda: client.ports.used == 0)


@one_node_only
async def test_the_log_names_no_earlier_request_for_a_call(caplog):
    requests = []

    def note(record):
        requests.extend([request_id.get()] if record.getMessage() == "leg.connected" else [])
        return True

    caplog.set_level("INFO", "bridge.legs.sip")
    caplog.handler.addFilter(note)
    async with running() as client:
        for _ in range(2):
            call_id = await client.dial(TELEPHONE(8))
            await client.until_state(call_id, "active")
            await client.data("/call/hangup", {"callId": call_id})
            await until(lambda: client.ports.used == 0)
    assert requests.count("") == 2
    assert len(set(requests)) == 3


async def test_a_telephone_calls_us_and_is_answered():
    async with running() as client:
        body = {"from": TELEPHONE(1), "to": "15550109000"}
        called = await client.owner.post("/simulator/incoming", json=body, headers=KEY)
        call_id = (await called.json())["data"]["callId"]
        await client.until_state(call_id, "ringing")
        await client.data("/call/answer", {"callId": call_id})
        await client.until_state(call_id, "active")
        [call] = await client.calls()
        assert (call["from"], call["direction"]) == (f"+{TELEPHONE(1)}", "inbound")
        assert [leg["kind"] for leg in (await client.quality(call_id))["legs"]] == ["sip"]
        await client.data("/call/hangup", {"callId": call_id})
    assert client.ports.used == 0


@one_node_only
async def test_another_number_of_the_telephone_network_is_out_of_reach_without_a_trunk():
    async with running() as client:
        answer = await client.post("/call/dial", {"phone": "15550300001", "channel": "pstn"})
        assert answer.status == 501
        assert "15550200001" in (await answer.json())["error"]
