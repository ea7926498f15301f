"""Whole calls between a stock browser and WhatsApp users at a double of Meta's API."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest

from bridge.settings.model import Data, Line, LineSip, Net, Sip, WhatsApp
from tests.support.clients.event_stream import listening
from tests.support.clients.vendor import Vendor
from tests.support.inprocess import Client, one_node, running, settings
from tests.support.peers.stock_peer import RATE, StockPeer, read_wav
from tests.support.sound.speech_compare import align, tone
from tests.support.sound.voices import SPEECH
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until, until_answer
from tests.support.whatsapp.graph_double import NUMBER_ID, SECRET, TOKEN, USER, VERIFY, GraphDouble
from tests.support.whatsapp.graph_style import META, Style

pytestmark = pytest.mark.call


@dataclass
class World:
    client: Client
    graph: GraphDouble

    async def call(self) -> dict[str, str]:
        await until_answer(self.client.calls)
        return (await self.client.calls())[0]


def cloud_line(graph: GraphDouble, **more) -> Line:
    whatsapp = WhatsApp(
        provider="cloud", phone_number_id=NUMBER_ID, access_token=TOKEN, app_secret=SECRET,
        verify_token=VERIFY, base_url=graph.url, **more,
    )  # fmt: skip
    return Line(keys=["demo"], numbers=["15550101000"], whatsapp=whatsapp)


@asynccontextmanager
async def world(
    *,
    speech=None,
    data: str | None = None,
    sip: LineSip | None = None,
    shared: Sip | None = None,
    style: Style = META,
    files: bool = False,
    **more,
):
    """Run a bridge beside Meta; its line may have a trunk too, and fetch `files` that Meta has recorded."""
    async with GraphDouble(speech=speech, repeat=True, style=style) as graph:
        changed: dict[str, Data | Net] = {"data": Data(dir=data)} if data else {}
        if files:
            changed["net"] = Net(allow=["127.0.0.0/8"])
            more["media_host"] = graph.files.url.removeprefix("http://")
        line = msgspec.structs.replace(cloud_line(graph, **style.settings(), **more), sip=sip)
        chosen = settings(lines={"main": line}, sip=shared or Sip(), **changed)
        async with running(chosen) as client:
            graph.webhook = str(client.http.make_url("/whatsapp/webhook"))
            graph.webhooks.rings = str(client.owner.make_url("/whatsapp/webhook"))
            yield World(client, graph)
            await graph.wait_idle()
    assert graph.complaints == []


async def test_a_user_who_rings_is_answered_and_both_hear_each_other():
    said = read_wav(SPEECH[0])[: 3 * RATE]
    async with world(speech=tone(20, 880)) as meta, StockPeer(said, repeat=True) as browser:
        ringing = await meta.graph.ring()
        call = await meta.call()
        assert call["state"] == "ringing"
        await ringing.media.wait_connected()
        await browser.call(meta.client.exchange(call["callId"]))
        await meta.client.data("/call/answer", {"callId": call["callId"]})
        await browser.wait_heard(1.0)
        await ringing.media.wait_heard(4.0)
        assert loudest(browser.heard()[-RATE // 2 :]) == pytest.approx(880, abs=10)
        assert likeness(said, ringing.media.heard) > 0.7
        assert meta.graph.actions() == ["pre_accept", "accept"]
        await meta.client.data("/call/hangup", {"callId": call["callId"]})
        await until(lambda: meta.graph.actions()[-1] == "terminate")


@pytest.mark.real_time
async def test_how_far_away_a_user_is_comes_as_an_event_once_metas_side_has_reported():
    async with world(speech=tone(20, 880)) as meta:
        call_id = await meta.client.dial(USER)
        async with listening(meta.client, f"/call/{call_id}/events") as stream:
            await meta.graph.pick_up(meta.graph.last)
            told = await stream.until_type("call.latency")
            assert 0 <= told["data"]["latencyMs"] < 2000
            await meta.graph.hang_up(meta.graph.last)
            await stream.until_type("call.ended")
        kinds = [event["type"] for event in stream.heard]
        assert kinds.count("call.latency") == 1


@pytest.mark.real_time
async def test_a_user_is_rung_and_both_hear_each_other():
    async with world(speech=tone(20, 880)) as meta, StockPeer(tone(20, 440)) as browser:
        call_id = await meta.client.dial(USER)
        rung = meta.graph.last
        await browser.call(meta.client.exchange(call_id))
        await until_answer(lambda: is_state(meta, call_id, "ringing"))
        await meta.graph.pick_up(rung)
        await rung.media.wait_heard(1.0)
        await browser.wait_heard(1.0)
        assert loudest(browser.heard()[-RATE // 2 :]) == pytest.approx(880, abs=10)
        assert loudest(rung.media.heard[-RATE // 2 :]) == pytest.approx(440, abs=10)
        await meta.graph.hang_up(rung)
        await until_answer(lambda: is_state(meta, call_id, "gone"))
        assert "terminate" not in meta.graph.actions()


@pytest.mark.parametrize(
    ("status", "code", "answered"),
    [(401, 138006, 403), (400, 131030, 400), (401, 138000, 409), (429, 138005, 429),
     (401, 190, 409), (500, 138004, 502), (503, 2, 502), (400, 138003, 409)],
)  # fmt: skip
async def test_a_refusal_leaves_no_call_and_names_metas_code(status, code, answered):
    async with world() as meta:
        error = {"error": {"message": "no", "code": code}}
        meta.graph.faults["connect"] = [(status, error)]
        response = await meta.client.post("/call/dial", {"phone": USER})
        assert response.status == answered
        body = await response.json()
        assert str(code) in body["error"]
        assert body["data"]["metaCode"] == code
        assert await meta.client.calls() == []
        assert meta.graph.actions() == ["connect"]


async def test_an_answer_that_comes_before_connects_reply_is_used():
    async with world(speech=tone(20, 880)) as meta:
        meta.graph.early_answer = True
        call_id = await meta.client.dial(USER)
        await until_answer(lambda: is_state(meta, call_id, "ringing"))
        await meta.graph.pick_up(meta.graph.last)
        await until_answer(lambda: is_state(meta, call_id, "active"))


async def test_a_person_who_declines_ends_the_call():
    async with world() as meta:
        call_id = await meta.client.dial(USER)
        await until_answer(lambda: is_state(meta, call_id, "ringing"))
        await meta.graph.tell_status(meta.graph.last, "REJECTED")
        await meta.graph.hang_up(meta.graph.last)
        await until_answer(lambda: is_state(meta, call_id, "gone"))
        assert (await meta.client.quality(call_id))["endReason"] == "rejected"
        assert meta.graph.actions() == ["connect"]


async def test_a_call_that_ended_before_it_began_rings_nobody():
    async with world() as meta:
        ringing = await meta.graph.ring(end_first=True)
        await asyncio.sleep(0.1)
        assert await meta.client.calls() == []
        assert ringing.actions == []


async def test_webhooks_that_come_twice_ring_once():
    async with world() as meta:
        meta.graph.webhooks.duplicates = 3
        await meta.graph.ring()
        await meta.call()
        assert len(await meta.client.calls()) == 1


async def test_declining_a_call_tells_meta():
    async with world() as meta:
        await meta.graph.ring()
        call = await meta.call()
        await meta.client.data("/call/hangup", {"callId": call["callId"]})
        await until(lambda: meta.graph.actions()[-1] == "reject")


async def test_a_message_goes_along_with_a_rejection():
    async with world() as meta:
        await meta.graph.ring()
        call = await meta.call()
        body = {"call_id": call["callId"], "call_from": call["peer"], "message": "I call you back."}
        reply = await (await meta.client.post("/call/reject/send", body)).json()
        assert reply["message_sent"] is True
        [sent] = [body for kind, body in meta.graph.requests if kind == "messages"]
        assert (sent["to"], sent["type"], sent["text"]["body"]) == (
            USER,
            "text",
            "I call you back.",
        )
        await until(lambda: meta.graph.actions()[-1] == "reject")


@one_node_only  # the other bridge stands for the same one, started anew
async def test_the_start_after_a_crash_tells_meta_of_the_calls_it_cut_off(tmp_path):
    async with world(data=str(tmp_path)) as meta:
        call = await meta.graph.ring()
        await meta.call()
        chosen = settings(lines={"main": cloud_line(meta.graph)}, data=Data(dir=str(tmp_path)))
        await meta.client.bridge.events.database.flush()
        async with one_node(chosen, None):
            await until(lambda: "terminate" in call.actions)


async def is_state(meta: World, call_id: str, state: str) -> bool:
    return await meta.client.state(call_id) == state


def likeness(said, heard) -> float:
    """How much of what was said was heard, second by second: a busy machine may tear one of them."""
    pieces = (said[at : at + RATE] for at in range(RATE // 2, len(said) - RATE + 1, RATE // 2))
    return float(np.median([align(piece, heard).correlation for piece in pieces]))


def loudest(sound) -> float:
    spectrum = np.abs(np.fft.rfft(sound.astype(float) * np.hanning(len(sound))))
    return float(np.argmax(spectrum)) * RATE / len(sound)


async def test_what_meta_tells_of_a_caller_is_told_to_the_customer():
    async with (
        world(recording_purpose="training") as meta,
        listening(meta.client, "/events") as stream,
    ):
        await meta.graph.ring(deeplink_payload="campaign-7", cta_payload="order-55")
        told = await stream.until_type("call.ringing")
        metadata = told["call"]["metadata"]
        assert metadata["profile_name"] == "Nadia Ü"
        assert metadata["deeplink_payload"] == "campaign-7"
        assert metadata["cta_payload"] == "order-55"
        assert metadata["recording"]["purpose"] == "training"
        call = await meta.call()
        await meta.client.data("/call/answer", {"callId": call["callId"]})
        await until(lambda: meta.graph.actions() == ["pre_accept", "accept"])
        accept = meta.graph.requests[-1][1]
        assert accept["biz_opaque_callback_data"] == call["callId"]
        assert accept["recording"]["announcement_language"] == "en_US"


async def test_what_a_customer_wants_back_from_meta_goes_with_the_call():
    async with world(transcription_purpose="notes") as meta:
        vendor = Vendor(meta.client.http, "demo")
        body = {"from": "agent-7", "fromChannel": "webrtc", "to": f"+{USER}"}
        more = {"toChannel": "whatsapp", "metadata": {"biz_opaque_callback_data": "job-42"}}
        status, answer = await vendor.post("/v1/calls", body | more)
        assert status in {200, 201}, answer
        [(_, asked)] = meta.graph.requests
        assert asked["biz_opaque_callback_data"] == "job-42"
        assert asked["transcription"]["purpose"] == "notes"
