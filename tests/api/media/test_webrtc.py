"""WebRTC set-up over HTTP: configuration, offers of every form, and closing."""

import asyncio

import msgspec
import pytest
from aiortc.sdp import SessionDescription

from bridge.settings.model import Line, Rtc
from bridge.wire.sdp.description import parse_offer
from tests.support.inprocess import free_udp_ports, running, settings
from tests.support.packets.offers import ANSWERABLE, REFUSED, offer
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("nodes")

ECHO, SILENT, NEVER = "15550100001", "15550100008", "15550100003"
OFFER = offer("minimal")


async def post_offer(client, call_id, sdp=OFFER, **more):
    return await client.post("/call/webrtc/offer", {"callID": call_id, "sdp": sdp, **more})


async def leg_of(client, call_id, sdp=OFFER, **more) -> str:
    response = await post_offer(client, call_id, sdp, **more)
    assert response.status == 200, await response.text()
    return str((await response.json())["legID"])


async def refused(response, status: int, *words: str, field: str | None = None):
    """Hold a refusal to the native envelope; its text has to hold the words."""
    body = await response.json()
    assert response.status == status, body
    assert (body["code"], body["success"]) == (status, False)
    assert body.get("field") == field
    for word in words:
        assert word in body["error"]


def legs(client, call_id):
    [runner] = [call for call in client.bridge.manager.calls() if call.facts.call_id == call_id]
    return [leg.leg_id for leg in runner.legs() if leg.kind == "webrtc"]


def media_ports(count):
    first = free_udp_ports()
    rtc = Rtc(bind=["127.0.0.1"], ports=f"{first}-{first + count - 1}")
    return msgspec.structs.replace(settings(), rtc=rtc)


# Bots


@pytest.mark.parametrize("machine", [True, pytest.param(False, marks=pytest.mark.full)])
async def test_an_offer_says_that_it_is_of_a_machine(client, machine):
    call_id = await client.dial(SILENT)
    leg_id = await leg_of(client, call_id, machine=machine)
    [runner] = client.bridge.manager.calls()
    assert runner.machine.legs.records[leg_id].role.machine is machine


# The configuration


async def test_the_configuration_is_the_documented_one(client):
    response = await client.get("/call/webrtc/config")
    assert await response.json() == {
        "iceServers": [{"urls": ["stun:stun.l.google.com:19302"]}],
        "turn": {"enabled": False, "status": "coming_soon"},
    }


# Offers


async def test_an_answer_holds_the_call_the_leg_the_description_and_the_turn_status(client):
    call_id = await client.dial(SILENT)
    body = await (await post_offer(client, call_id, type="offer")).json()
    assert sorted(body) == ["callID", "legID", "sdp", "turn", "type"]
    assert (body["callID"], body["type"]) == (call_id, "answer")
    assert [body["legID"]] == legs(client, call_id)
    assert body["turn"] == {"enabled": False, "status": "coming_soon"}


@pytest.mark.parametrize("name", ANSWERABLE)
async def test_every_offer_of_a_real_client_is_answered_readably(client, name):
    call_id = await client.dial(SILENT)
    response = await post_offer(client, call_id, offer(name))
    assert response.status == 200, await response.text()
    offered = SessionDescription.parse(offer(name))
    answer = SessionDescription.parse((await response.json())["sdp"])
    assert [media.kind for media in answer.media] == [media.kind for media in offered.media]
    [accepted] = [media for media in answer.media if media.port and media.kind == "audio"]
    assert accepted.ice is not None
    assert accepted.dtls is not None
    assert accepted.ice.usernameFragment
    assert [candidate.ip for candidate in accepted.ice_candidates] == ["127.0.0.1"]
    assert {one.algorithm for one in accepted.dtls.fingerprints} == {"sha-256"}


PLAIN_WORDS = {
    "no_audio": "no audio line",
    "no_fingerprint": "fingerprint",
    "no_media": "no audio line",
    "no_opus": "Opus",
    "no_rtcp_mux": "rtcp-mux",
    "only_sha1_fingerprint": "sha-256",
    "only_sha512_fingerprint": "sha-256",
    "plan_b": "Unified Plan",
    "rejected_audio": "port 0",
}


@pytest.mark.parametrize("name", REFUSED)
async def test_an_offer_that_cannot_be_answered_is_a_400_in_plain_words(client, name):
    call_id = await client.dial(SILENT)
    await refused(
        await post_offer(client, call_id, offer(name)), 400, PLAIN_WORDS[name], field="sdp"
    )
    assert legs(client, call_id) == []
    assert await client.state(call_id) != "gone"


@pytest.mark.parametrize("sdp", ["hello", "v=0", "\r\n\r\n", "m=audio", "\u0000" * 100, "a" * 9000])
async def test_garbage_in_place_of_a_description_is_a_400(client, sdp):
    await refused(await post_offer(client, await client.dial(SILENT), sdp), 400, field="sdp")


async def test_only_the_first_of_two_audio_lines_is_accepted(client):
    response = await post_offer(client, await client.dial(SILENT), offer("two_audio_lines"))
    answer = SessionDescription.parse((await response.json())["sdp"])
    assert [bool(media.port) for media in answer.media] == [True, False]


async def test_of_five_hundred_candidates_thirty_two_are_looked_at(client):
    candidates = "".join(
        f"a=candidate:{n} 1 udp 2113937151 203.0.113.{n % 250} {20000 + n} typ host\r\n"
        for n in range(500)
    )
    call_id = await client.dial(SILENT)
    await leg_of(client, call_id, OFFER + candidates)
    [runner] = client.bridge.manager.calls()
    [leg] = [leg for leg in runner.legs() if leg.kind == "webrtc"]
    learned = leg._media.peer._transports.next.local.remote_candidates
    assert len(learned) == 0  # documentation addresses are not public: none is probed
    assert parse_offer(OFFER + candidates).candidates_ignored == 500 - 32


async def test_a_body_over_256_kilobytes_is_a_413(client):
    call_id = await client.dial(SILENT)
    await refused(await post_offer(client, call_id, OFFER + "a=x\r\n" * 60_000), 413)


# Fields


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "callID"),
        ({"callID": ""}, "callID"),
        ({"callID": 7}, "callID"),
        ({"callID": "00FF"}, "sdp"),
        ({"callID": "00FF", "sdp": ""}, "sdp"),
        ({"callID": "00FF", "sdp": ["v=0"]}, "sdp"),
        ({"callID": "00FF", "sdp": OFFER, "type": "answer"}, "type"),
        ({"callID": "00FF", "sdp": OFFER, "type": 1}, "type"),
        ({"callID": "00FF", "sdp": OFFER, "party": "middle"}, "party"),
        ({"callID": "00FF", "sdp": OFFER, "party": True}, "party"),
        ({"callID": "00FF", "sdp": OFFER, "legID": 1}, "legID"),
    ],
)
async def test_a_missing_or_wrong_field_is_a_400_that_names_it(client, body, field):
    await refused(await client.post("/call/webrtc/offer", body), 400, field, field=field)


@pytest.mark.parametrize("body", [{}, {"callID": False}])
async def test_closing_names_a_field_that_is_missing_or_wrong(client, body):
    response = await client.post("/call/webrtc/close", body)
    assert response.status == 400
    assert (await response.json())["field"] in ("callId", "callID")


@pytest.mark.parametrize(
    "path", ["/call/webrtc/config", "/call/webrtc/offer", "/call/webrtc/close"]
)
async def test_without_a_key_nothing_is_told(client, path):
    ask = client.get if path.endswith("config") else client.post
    assert (await ask(path, headers={})).status == 401
    assert (await ask(path, headers={"token": "wrong"})).status == 401


# Calls and parties


async def test_an_offer_for_a_call_that_never_was_is_a_404(client):
    await refused(await post_offer(client, "00FF"), 404)


async def test_an_offer_for_an_ended_call_is_a_404(client):
    call_id = await client.dial(ECHO)
    await client.data("/call/hangup", {"callId": call_id})
    await refused(await post_offer(client, call_id), 404, "ended")


async def test_another_lines_call_is_a_404_in_every_way():
    lines = {name: Line(keys=[f"key-{name}"]) for name in ("one", "two")}
    async with running(settings(lines=lines)) as client:
        one, two = ({"headers": {"token": f"key-{name}"}} for name in ("one", "two"))
        dialled = await client.post("/call/dial", {"phone": ECHO}, **one)
        call_id = (await dialled.json())["data"]["callId"]
        offered = {"callID": call_id, "sdp": OFFER}
        leg_id = (await (await client.post("/call/webrtc/offer", offered, **one)).json())["legID"]
        for path, body in (
            ("/call/webrtc/offer", offered),
            ("/call/webrtc/offer", {**offered, "legID": leg_id}),
            ("/call/webrtc/close", {"callID": call_id}),
            ("/call/hangup", {"callID": call_id}),
        ):
            await refused(await client.post(path, body, **two), 404)
        assert legs(client, call_id) == [leg_id]
        await client.post("/call/hangup", {"callID": call_id}, **one)
        await refused(await client.post("/call/webrtc/offer", offered, **two), 404)
        await refused(await client.post("/call/webrtc/close", {"callID": call_id}, **two), 404)


async def test_the_far_party_comes_once(client):
    call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
    leg_id = await leg_of(client, call_id, party="far")
    await refused(await post_offer(client, call_id, party="far"), 409, "far party")
    assert legs(client, call_id) == [leg_id]
    assert await client.state(call_id) == "ringing"
    assert client.ports.used == 1


async def test_a_call_to_a_contact_has_its_far_party(client):
    await refused(await post_offer(client, await client.dial(SILENT), party="far"), 409)


async def test_an_offer_for_a_leg_that_is_not_there_is_a_404(client):
    call_id = await client.dial(SILENT)
    await refused(await post_offer(client, call_id, legID="leg_0"), 404, "legID")


async def test_an_offer_for_a_leg_that_is_no_browser_is_a_404(client):
    call_id = await client.dial(SILENT)
    [runner] = client.bridge.manager.calls()
    [contact] = runner.legs()
    await refused(await post_offer(client, call_id, legID=contact.leg_id), 404)


async def test_every_offer_without_a_leg_makes_one(client):
    call_id = await client.dial(SILENT)
    made = [await leg_of(client, call_id) for _ in range(3)]
    assert legs(client, call_id) == made


async def test_a_bad_second_offer_leaves_the_leg_as_it_was(client):
    call_id = await client.dial(SILENT)
    leg_id = await leg_of(client, call_id)
    response = await post_offer(client, call_id, offer("no_opus"), legID=leg_id)
    await refused(response, 400, "Opus", field="sdp")
    assert legs(client, call_id) == [leg_id]


# Limits


async def test_without_a_free_port_an_offer_is_a_503_that_says_when_to_retry():
    async with running(media_ports(2)) as client:
        call_id = await client.dial(SILENT)
        first = await leg_of(client, call_id)
        await leg_of(client, call_id)
        response = await post_offer(client, call_id)
        assert int(response.headers["Retry-After"]) > 0
        await refused(response, 503, "port")
        await client.post("/call/webrtc/close", {"callID": call_id, "legID": first})
        await until(lambda: client.ports.free == 1)
        await leg_of(client, call_id)


async def test_a_call_takes_sixteen_legs_however_many_ask_at_once(client):
    call_id = await client.dial(SILENT)
    responses = await asyncio.gather(*(post_offer(client, call_id) for _ in range(20)))
    statuses = [response.status for response in responses]
    assert statuses.count(200) == 15  # the contact is the sixteenth
    assert statuses.count(503) == 5
    assert len(legs(client, call_id)) == 15
    assert client.ports.used == 15


# Closing


async def test_closing_ends_the_leg_that_is_named_and_never_the_call(client):
    call_id = await client.dial(SILENT)
    first, second = [await leg_of(client, call_id) for _ in range(2)]
    await client.post("/call/webrtc/close", {"callID": call_id, "legID": first})
    assert legs(client, call_id) == [second]
    await client.post("/call/webrtc/close", {"callID": call_id})
    assert legs(client, call_id) == []
    assert await client.state(call_id) == "active"
    await until(lambda: client.ports.used == 0)


async def test_closing_again_and_after_the_end_is_no_error(client):
    call_id = await client.dial(SILENT)
    leg_id = await leg_of(client, call_id)
    for body in ({"legID": leg_id}, {"legID": leg_id}, {"legID": "leg_0"}, {}):
        response = await client.post("/call/webrtc/close", {"callID": call_id, **body})
        assert response.status == 200
    await client.data("/call/hangup", {"callId": call_id})
    for body in ({}, {"legID": leg_id}):
        response = await client.post("/call/webrtc/close", {"callID": call_id, **body})
        assert response.status == 200


async def test_closing_in_a_call_that_never_was_is_a_404(client):
    await refused(await client.post("/call/webrtc/close", {"callID": "00FF"}), 404)


async def test_closing_the_far_browser_ends_the_call(client):
    call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
    leg_id = await leg_of(client, call_id, party="far")
    await client.post("/call/webrtc/close", {"callID": call_id, "legID": leg_id})
    assert await client.state(call_id) == "gone"
    assert (await client.quality(call_id))["endReason"] == "remote_hangup"


async def test_a_call_that_waits_for_a_browser_takes_near_legs_before_it(client):
    call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
    await leg_of(client, call_id)
    assert await client.state(call_id) == "ringing"


async def test_a_call_that_nobody_answers_takes_offers(client):
    call_id = await client.dial(NEVER)
    await leg_of(client, call_id)
    assert await client.state(call_id) == "ringing"
