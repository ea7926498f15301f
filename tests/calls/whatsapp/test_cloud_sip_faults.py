"""WhatsApp calls over SIP: digits, races, the odd ways of Meta's server, and impostors who know more than a guess."""

import asyncio

import pytest

from tests.calls.whatsapp.test_cloud import loudest
from tests.calls.whatsapp.test_cloud_sip import answered
from tests.support.clients.event_stream import listening
from tests.support.meta_sip.behaviour import Behaviour
from tests.support.meta_sip.impostor import impostor
from tests.support.meta_sip.world import world
from tests.support.peers.meta_sdes import SdesPeer
from tests.support.peers.stock_peer import RATE, StockPeer
from tests.support.sound.speech_compare import tone
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until
from tests.support.whatsapp.graph_double import USER, RetryPolicy

pytestmark = [pytest.mark.call, pytest.mark.virtual_time, pytest.mark.full, one_node_only]


@pytest.mark.parametrize("media", ["sdes", "dtls"])
@pytest.mark.parametrize("inbound", [True, False])
async def test_digits_pass_both_ways_at_8_khz(media, inbound):
    async with (
        world(media=media, speech=tone(2, 880), repeat=True) as meta,
        StockPeer(tone(2, 440), repeat=True) as browser,
    ):
        if inbound:
            call_id, user = await answered(meta)
        else:
            call_id = await meta.client.dial(USER)
            await meta.client.until_state(call_id, "ringing")
            user = meta.meta.last
            await meta.meta.pick_up(user)
            await meta.client.until_state(call_id, "active", timeout=20)
        await browser.call(meta.client.exchange(call_id))
        await user.media.wait_heard(0.5)
        await meta.client.data("/call/dtmf", {"callId": call_id, "digits": "4711"})
        await until(lambda: user.media.digits == "4711")
        assert len(user.media.ssrcs) == 1
        async with listening(meta.client, "/events") as stream:
            for digit in "95":
                await user.media.send_digit(digit)
            heard = [(await stream.until_type("digit.received"))["data"] for _ in "95"]
        assert [one["digit"] for one in heard] == ["9", "5"]


@pytest.mark.parametrize("inbound", [True, False])
async def test_a_call_without_a_packet_of_ours_is_ended_by_meta_and_we_say_why(inbound):
    async with world(patience=RetryPolicy(first_media=3.0)) as meta:
        if inbound:
            call_id, user = await answered(meta)
        else:
            call_id = await meta.client.dial(USER)
            await meta.client.until_state(call_id, "ringing")
            user = meta.meta.last
            user.media.deafen()
            await meta.meta.pick_up(user)
        user.media.deafen()
        user.media.rtp_packets.clear()
        await until(lambda: user.state == "ENDED", timeout=60)
        assert user.reason == "RTP Timeout"
        await meta.client.until_state(call_id, "gone")
        assert (await meta.client.quality(call_id))["endReason"] == "media_timeout"


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(byes=3),
        Behaviour(byes=2, fresh_connections=True),
        Behaviour(record_routes=0),
        Behaviour(full_uri=True),
    ],
    ids=["bye repeated", "bye repeated elsewhere", "no record-route", "uri with parameters"],
)
async def test_what_meta_may_do_differently_does_not_disturb_a_call(behaviour):
    async with world(behaviour=behaviour) as meta:
        call_id, user = await answered(meta)
        await user.media.wait_heard(0.5)
        await meta.meta.hang_up(user)
        await meta.client.until_state(call_id, "gone")
        assert (await meta.client.quality(call_id))["endReason"] == "remote_hangup"


async def test_a_bye_before_the_ack_ends_the_call():
    async with world(behaviour=Behaviour(bye_before_ack=True)) as meta:
        user = await meta.meta.ring()
        call_id = (await meta.call())["callId"]
        await meta.client.data("/call/answer", {"callId": call_id})
        await meta.client.until_state(call_id, "gone")
        assert user.state == "ENDED"


async def test_a_cancel_that_crosses_the_users_answer_ends_the_call_all_the_same():
    async with world(behaviour=Behaviour(cancel_crosses=True)) as meta:
        call_id = await meta.client.dial(USER)
        await meta.client.until_state(call_id, "ringing")
        await meta.client.data("/call/hangup", {"callId": call_id})
        await until(lambda: meta.meta.actions()[-2:] == ["terminate", "terminate"])
        assert meta.meta.last.acknowledged
        assert meta.meta.last.state == "ENDED"


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.01, 0.05])
async def test_both_sides_hang_up_at_once_and_nothing_is_left(delay):
    async with world() as meta:
        call_id, user = await answered(meta)

        async def they() -> None:
            await asyncio.sleep(delay)
            await meta.meta.hang_up(user)

        response, _ = await asyncio.gather(
            meta.client.post("/call/hangup", {"callId": call_id}), they()
        )
        assert response.status in {200, 404}
        await meta.client.until_state(call_id, "gone")
        assert user.state == "ENDED"
        await until(lambda: meta.client.ports.used == 0)


@pytest.mark.parametrize(
    ("suite", "protocol"),
    [
        ("AEAD_AES_128_GCM", "RTP/SAVP"),
        ("AES_CM_128_HMAC_SHA1_80", "RTP/SAVPF"),
        ("AES_CM_128_HMAC_SHA1_80", "UDP/TLS/RTP/SAVPF"),
    ],
)
async def test_other_keys_and_spellings_of_metas_offer_are_taken(suite, protocol):
    form = {"suite": suite, "protocol": protocol, "speech": tone(2, 880), "repeat": True}
    async with world(**form) as meta, StockPeer(tone(2, 440), repeat=True) as browser:
        call_id, user = await answered(meta)
        await browser.call(meta.client.exchange(call_id))
        await user.media.wait_heard(1.0)
        await browser.wait_heard(1.0)
        assert loudest(browser.heard()[-RATE // 2 :]) == pytest.approx(880, abs=10)
        assert user.media.forged == 0


async def test_who_connects_with_the_wrong_digest_again_and_again_does_not_keep_meta_out():
    async with (
        world() as meta,
        impostor(meta.authority, meta.meta.account) as other,
    ):
        offer = await _offer()
        codes = await other.invite(offer, password=meta.meta.account.password, username="another")
        assert codes[-1] in {401, 403}
        for attempt in range(6):
            codes = await other.invite(offer, password=f"guess {attempt}")
            assert codes[-1] in {401, 403}, codes
        assert (await meta.client.data_of("/calls"))["calls"] == []
        call_id, user = await answered(meta)
        assert await meta.client.state(call_id) == "active"
        assert user.codes[0] == 401


async def test_who_ends_a_call_must_know_both_tags_and_a_later_number():
    async with (
        world() as meta,
        impostor(meta.authority, meta.meta.account, source="127.0.0.77") as other,
    ):
        call_id, user = await answered(meta)
        assert await other.in_dialog("BYE", user, theirs="guessed", ahead=9) == 481
        assert await other.in_dialog("BYE", user, ours="guessed", ahead=9) == 481
        assert await other.in_dialog("REFER", user, ahead=9) >= 400
        assert await other.in_dialog("INFO", user, ahead=10) >= 400
        assert await meta.client.state(call_id) == "active"


async def _offer() -> str:
    peer = SdesPeer()
    try:
        return await peer.offer()
    finally:
        await peer.aclose()
