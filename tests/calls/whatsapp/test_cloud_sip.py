"""Whole calls between a stock browser and WhatsApp users at a double of Meta's SIP server."""

import asyncio

import pytest

from bridge.call.model import LineName
from bridge.settings.model import LineSip
from tests.calls.whatsapp.test_cloud import loudest
from tests.support.meta_sip.behaviour import USER_ID, Behaviour, SipCall
from tests.support.meta_sip.impostor import impostor
from tests.support.meta_sip.world import World, world
from tests.support.peers.stock_peer import RATE, StockPeer
from tests.support.sound.speech_compare import tone
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until
from tests.support.whatsapp.graph_double import USER

# Which node has the SIP sockets, and which one the call, is tested in tests/trunk and tests/api/test_siblings_sip.py.
pytestmark = [pytest.mark.call, pytest.mark.virtual_time, one_node_only]
FULL = pytest.mark.full
MEDIA = ["sdes", pytest.param("dtls", marks=pytest.mark.full)]


async def answered(meta: World, **more: str) -> tuple[str, SipCall]:
    """Let a user ring, and answer; return our id of the call, and the double's call."""
    rung = await meta.meta.ring(**more)
    call_id = (await meta.call())["callId"]
    await meta.client.data("/call/answer", {"callId": call_id})
    await meta.client.until_state(call_id, "active", timeout=20)
    return call_id, rung


@pytest.mark.parametrize("media", MEDIA)
async def test_a_user_who_rings_is_answered_and_both_hear_each_other(media):
    async with (
        world(media=media, speech=tone(20, 880), repeat=True) as meta,
        StockPeer(tone(20, 440), repeat=True) as browser,
    ):
        rung = await meta.meta.ring(name="Ana", username="ana", cta_payload="from-the-shop")
        call = await meta.call()
        assert (call["state"], call["peer"].partition("@")[0]) == ("ringing", USER)
        await browser.call(meta.client.exchange(call["callId"]))
        await meta.client.data("/call/answer", {"callId": call["callId"]})
        await browser.wait_heard(1.0)
        await rung.media.wait_heard(1.0)
        assert loudest(browser.heard()[-RATE // 2 :]) == pytest.approx(880, abs=10)
        assert loudest(rung.media.heard[-RATE // 2 :]) == pytest.approx(440, abs=10)
        assert rung.codes == [401, 100, 180, 200]
        await meta.client.data("/call/hangup", {"callId": call["callId"]})
        await until(lambda: meta.meta.actions() == ["accept", "terminate"])


@FULL
@pytest.mark.parametrize("media", MEDIA)
async def test_a_user_is_rung_and_both_hear_each_other(media):
    async with (
        world(media=media, speech=tone(20, 880), repeat=True) as meta,
        StockPeer(tone(20, 440), repeat=True) as browser,
    ):
        call_id = await meta.client.dial(USER)
        rung = meta.meta.last
        await browser.call(meta.client.exchange(call_id))
        await meta.client.until_state(call_id, "ringing")
        await meta.meta.pick_up(rung)
        await rung.media.wait_heard(1.0)
        await browser.wait_heard(1.0)
        assert loudest(browser.heard()[-RATE // 2 :]) == pytest.approx(880, abs=10)
        assert loudest(rung.media.heard[-RATE // 2 :]) == pytest.approx(440, abs=10)
        await meta.meta.hang_up(rung)
        await meta.client.until_state(call_id, "gone")
        assert (await meta.client.quality(call_id))["endReason"] == "remote_hangup"
        invite = meta.meta.requests[-1]
        assert invite.uri == f"sip:+{USER}@wa.meta.vc;transport=tls"
        assert f"<{invite.uri}>" == invite.value("to")


@FULL
@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(algorithms=("SHA-256",), record_routes=0),
        Behaviour(algorithms=("SHA-256", "MD5"), stale_once=True, provisional=(183,)),
    ],
)
async def test_a_user_is_rung_whatever_meta_asks_for(behaviour):
    async with world(behaviour=behaviour) as meta:
        call_id = await meta.client.dial(USER)
        await until(lambda: meta.meta.calls)
        await meta.meta.pick_up(meta.meta.last)
        await meta.client.until_state(call_id, "active")
        await meta.client.data("/call/hangup", {"callId": call_id})
        await until(lambda: meta.meta.actions() == ["connect", "terminate"])


@FULL
@pytest.mark.parametrize("media", MEDIA)
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("486 User declined the call", "rejected"),
        ("480 Temporarily Unavailable", "no_answer"),
        ("503 Service Unavailable", "failed"),
    ],
)
async def test_what_ends_an_unanswered_call_is_named_as_for_calls_over_the_graph_api(
    media, status, reason
):
    async with world(media=media) as meta:
        call_id = await meta.client.dial(USER)
        await meta.client.until_state(call_id, "ringing")
        await meta.meta.decline(meta.meta.last, status)
        await meta.client.until_state(call_id, "gone")
        assert (await meta.client.quality(call_id))["endReason"] == reason


@FULL
@pytest.mark.parametrize("media", MEDIA)
async def test_a_user_who_has_not_permitted_calls_is_not_rung_and_the_request_says_so(media):
    async with world(media=media) as meta:
        meta.meta.permitted = False
        response = await meta.client.post("/call/dial", {"phone": USER})
        body = await response.json()
        assert (response.status, body["data"]["metaCode"]) == (403, 138006)
        assert await meta.client.calls() == []


@FULL
@pytest.mark.parametrize("media", MEDIA)
async def test_a_call_that_we_give_up_is_canceled(media):
    async with world(media=media) as meta:
        call_id = await meta.client.dial(USER)
        await meta.client.until_state(call_id, "ringing")
        await meta.client.data("/call/hangup", {"callId": call_id})
        await until(lambda: meta.meta.last.canceled)
        await until(lambda: meta.meta.last.state == "ENDED")


@FULL
@pytest.mark.parametrize("media", MEDIA)
async def test_a_user_who_gives_up_ends_the_call(media):
    async with world(media=media) as meta:
        rung = await meta.meta.ring()
        call_id = (await meta.call())["callId"]
        await meta.meta.hang_up(rung)
        await meta.client.until_state(call_id, "gone")
        await until(lambda: rung.codes[-1] == 487)


@FULL
async def test_a_user_without_a_number_is_known_by_metas_id_and_what_meta_says_is_metadata():
    for captured in (False, True):
        behaviour = Behaviour(caller="username", captured_headers=captured)
        async with world(behaviour=behaviour) as meta:
            rung = await meta.meta.ring(username="ana", deeplink_payload="x")
            call = await meta.call()
            assert call["peer"].partition("@")[0] == USER_ID
            found = await meta.client.data_of(f"/calls/{call['callId']}")
            said = found["metadata"]
            assert said["user_id"] == USER_ID
            assert (said["username"], said["country_code"]) == ("ana", "US")
            assert (said["wacid"], said["deeplink_payload"]) == (rung.wacid, "x")


@pytest.mark.parametrize("password", [None, "a-guess"])
async def test_who_does_not_know_the_password_makes_no_call_and_no_event(password):
    async with (
        world() as meta,
        impostor(meta.authority, meta.meta.account) as other,
    ):
        codes = await other.invite("v=0\r\n", password=password)
        assert codes == [401] * (1 if password is None else 2)
        assert await meta.client.calls() == []
        assert (await meta.client.data_of("/calls"))["calls"] == []
        assert meta.client.bridge.lines.meta_sip.health(LineName("main")).reported_at == 0


@FULL
async def test_anybody_who_knows_the_call_may_end_it_and_do_nothing_else_with_it():
    async with (
        world() as meta,
        impostor(meta.authority, meta.meta.account) as other,
    ):
        call_id, rung = await answered(meta)
        assert await other.in_dialog("INVITE", rung, ahead=3, body="v=0\r\n") == 488
        assert await other.in_dialog("UPDATE", rung, ahead=4) == 488
        assert await other.in_dialog("BYE", rung, ours="another", ahead=5) != 200
        assert await other.in_dialog("BYE", rung, ahead=0) != 200
        assert await meta.client.state(call_id) == "active"
        assert await other.in_dialog("BYE", rung, ahead=6) == 200
        await meta.client.until_state(call_id, "gone")


@FULL
async def test_meta_may_use_another_connection_and_address_for_each_request():
    behaviour = Behaviour(
        fresh_connections=True, stale_gives_up=True, sources=("127.0.0.2", "127.0.0.3", "127.0.0.4")
    )
    async with world(behaviour=behaviour) as meta:
        call_id, rung = await answered(meta)
        await meta.meta.hang_up(rung)
        await meta.client.until_state(call_id, "gone")


@FULL
@pytest.mark.parametrize("we_end", [True, False])
async def test_half_an_hour_brings_no_request_and_then_each_side_can_end_the_call(we_end):
    async with world(speech=tone(1, 440), repeat=True) as meta:
        call_id, rung = await answered(meta)
        before = len(meta.meta.requests)
        await meta.client.data("/call/hold", {"callId": call_id})
        await meta.client.data("/call/unhold", {"callId": call_id})
        await asyncio.sleep(31 * 60)
        assert len(meta.meta.requests) == before
        if we_end:
            await meta.client.data("/call/hangup", {"callId": call_id})
            await until(lambda: meta.meta.actions()[-1] == "terminate")
        else:
            await meta.meta.hang_up(rung)
        await meta.client.until_state(call_id, "gone")


@FULL
async def test_our_bye_comes_over_another_connection_where_metas_was_closed():
    async with world() as meta:
        call_id, rung = await answered(meta)
        assert rung.link is not None
        rung.link.close()
        await asyncio.sleep(1)
        await meta.client.data("/call/hangup", {"callId": call_id})
        await until(lambda: meta.meta.actions()[-1] == "terminate")


@FULL
async def test_a_user_is_never_joined_with_a_telephone():
    trunk = LineSip(trunk="sip:127.0.0.1:9", allow_prefixes=["+"])
    async with world(trunk=trunk) as meta:
        call_id, _ = await answered(meta)
        body = {"callId": call_id, "phone": "4930123456", "channel": "pstn"}
        response = await meta.client.post("/call/transfer", body)
        assert response.status == 403, await response.text()
        assert "Meta forbids" in (await response.json())["error"]
