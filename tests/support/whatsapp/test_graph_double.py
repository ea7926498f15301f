"""The double of Meta's API punishes what Meta punishes."""

from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.peers.light_peer import LightPeer
from tests.support.waiting import until
from tests.support.whatsapp.graph_double import NUMBER_ID, TOKEN, USER, GraphDouble, RetryPolicy

OPUS_SILENCE = b"\xf8\xff\xfe"


class Business:
    """A business that does as it is told, right or wrong."""

    def __init__(self, graph: GraphDouble, http: aiohttp.ClientSession) -> None:
        self.graph = graph
        self.token = TOKEN
        self.number = NUMBER_ID
        self.told: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        """What it answers to webhooks instead of 200, one for each."""
        self._http = http

    async def ask(self, action: str, **body) -> tuple[int, dict[str, Any]]:
        url = f"{self.graph.url}/v24.0/{self.number}/calls"
        sent = {"messaging_product": "whatsapp", "action": action, **body}
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self._http.post(url, json=sent, headers=headers) as answer:
            return answer.status, await answer.json()

    async def describe(self, action: str, sdp: str, **body) -> tuple[int, dict[str, Any]]:
        kind = "offer" if action == "connect" else "answer"
        return await self.ask(action, session={"sdp": sdp, "sdp_type": kind}, **body)

    async def hook(self, request: web.Request) -> web.Response:
        self.told.append(await request.json())
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    @property
    def events(self) -> list[str]:
        values = [one["changes"][0]["value"] for told in self.told for one in told["entry"]]
        items = [item for value in values for item in value.get("calls", value.get("statuses"))]
        return [item.get("event") or item["status"] for item in items]


@asynccontextmanager
async def business(**more):
    application = web.Application()
    async with GraphDouble(**more) as graph, aiohttp.ClientSession() as http:
        one = Business(graph, http)
        application.add_routes([web.post("/hook", one.hook)])
        async with TestServer(application) as server:
            graph.webhook = str(server.make_url("/hook"))
            yield one


def code(answer: tuple[int, dict[str, Any]]) -> tuple[int, int]:
    return answer[0], answer[1]["error"]["code"]


def right(peer_offer: str, *, setup: str) -> str:
    """Make of a browser's offer what Meta takes: `light_peer` writes one for browsers."""
    kept = [
        line
        for line in peer_offer.split("\r\n")
        if "48000\r" not in line and not line.startswith("a=rtpmap:110")
    ]
    text = "\r\n".join(kept).replace("a=setup:actpass", f"a=setup:{setup}")
    return text.replace("111 110 126", "111 126").replace(
        "a=rtcp-mux", "a=ptime:20\r\na=rtcp-mux", 1
    )


@asynccontextmanager
async def peer(setup: str):
    """A WebRTC end of the business's, and what it says of itself."""
    async with LightPeer() as light:
        yield light, right(await light.offer(), setup=setup)


async def meet(light: LightPeer, meta_sdp: str) -> None:
    """Connect to Meta's media server, which sends no checks."""
    await light.accept(meta_sdp.replace("a=setup:actpass", "a=setup:passive"))


def offer_of(one: Business) -> str:
    return str(one.told[0]["entry"][0]["changes"][0]["value"]["calls"][0]["session"]["sdp"])


async def accepted(one: Business, light: LightPeer, sdp: str):
    """Answer a call that rings, with media."""
    call = await one.graph.ring()
    assert (await one.describe("pre_accept", sdp, call_id=call.wacid))[0] == 200
    await meet(light, offer_of(one))
    return call


# The rules


async def test_who_keeps_the_rules_is_not_blamed():
    async with business() as one, peer("active") as (light, sdp):
        call = await accepted(one, light, sdp)
        assert (await one.describe("accept", sdp, call_id=call.wacid))[0] == 200
        light.send(OPUS_SILENCE)
        await until(lambda: call.media.rtp_packets)
        assert (await one.ask("terminate", call_id=call.wacid))[0] == 200
    assert one.graph.complaints == []


async def test_sound_before_accept_is_blamed():
    async with business() as one, peer("active") as (light, sdp):
        call = await accepted(one, light, sdp)
        light.send(OPUS_SILENCE)
        await until(lambda: call.media.rtp_packets)
        await one.describe("accept", sdp, call_id=call.wacid)
    assert one.graph.complaints == ["sound came before the call was accepted"]


async def test_a_second_ssrc_is_blamed():
    async with business() as one, peer("active") as (light, sdp):
        call = await accepted(one, light, sdp)
        await one.describe("accept", sdp, call_id=call.wacid)
        light.send(OPUS_SILENCE)
        light.ssrc += 1
        light.send(OPUS_SILENCE)
        await until(lambda: len(call.media.rtp_packets) == 2)
    assert one.graph.complaints == ["more than one SSRC"]


async def test_a_description_that_changes_is_refused():
    async with business() as one, peer("active") as (light, sdp):
        call = await accepted(one, light, sdp)
        changed = sdp.replace("a=ptime:20", "a=ptime:20\r\na=extra")
        answer = await one.describe("accept", changed, call_id=call.wacid)
        assert code(answer) == (400, 100)
    assert one.graph.complaints == ["the SDP changed between pre_accept and accept"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a=setup", "a=fingerprint:sha-384 AA:BB\r\na=fingerprint:sha-512 AA:BB\r\na=setup"),
        ("a=ptime:20", "a=ptime:40"),
        ("a=mid:0", "a=ice-lite\r\na=mid:0"),
        ("a=rtpmap:126 telephone-event/8000", "a=rtpmap:126 telephone-event/48000"),
        ("a=ssrc:", "a=ssrc:99 cname:x\r\na=ssrc:"),
        ("a=sendrecv", "a=recvonly"),
        ("a=setup:active", "a=setup:passive"),
    ],
    ids=["three fingerprints", "40 ms", "ice-lite", "events at 48 kHz", "two SSRCs", "recvonly",
         "no DTLS client"],
)  # fmt: skip
async def test_a_description_that_breaks_calls_is_blamed(old, new):
    async with business() as one, peer("active") as (_, sdp):
        assert old in sdp
        call = await one.graph.ring()
        await one.describe("pre_accept", sdp.replace(old, new, 1), call_id=call.wacid)
    assert one.graph.complaints


async def test_who_sends_nothing_in_time_is_dropped():
    waits = RetryPolicy(first_media=0.3)
    async with business(patience=waits) as one, peer("active") as (light, sdp):
        call = await accepted(one, light, sdp)
        await one.describe("accept", sdp, call_id=call.wacid)
        await until(lambda: call.state == "ENDED")
        await until(lambda: "terminate" in one.events)
    [told] = one.told[-1]["entry"][0]["changes"][0]["value"]["calls"]
    assert (told["status"], told["errors"][0]["code"]) == ("FAILED", 138021)
    assert "start_time" in told
    assert one.graph.complaints == ["no packet came in time"]


async def test_who_falls_silent_is_dropped():
    waits = RetryPolicy(media=0.3)
    async with business(patience=waits) as one, peer("active") as (light, sdp):
        call = await accepted(one, light, sdp)
        await one.describe("accept", sdp, call_id=call.wacid)
        light.send(OPUS_SILENCE)
        await until(lambda: call.state == "ENDED")
    assert one.graph.complaints == ["no packet came for too long"]


async def test_who_does_not_answer_is_told_of_the_end():
    async with business(patience=RetryPolicy(answer=0.2)) as one:
        call = await one.graph.ring()
        await until(lambda: call.state == "ENDED")
        await until(lambda: one.events == ["connect", "terminate"])
    assert one.graph.complaints == []


# What it refuses


@pytest.mark.parametrize(
    ("switch", "expected"),
    [("expired", (401, 190)), ("sip", (400, 131055)), ("off", (401, 138000)), ("broken", (500, 2))],
)
async def test_a_switch_makes_it_refuse(switch, expected):
    async with business() as one, peer("actpass") as (_, sdp):
        one.graph.broken.add(switch)
        assert code(await one.describe("connect", sdp, to=USER)) == expected
        assert one.graph.calls == {}


async def test_a_wrong_token_number_or_call_is_refused():
    async with business() as one:
        assert code(await one.ask("terminate", call_id="wacid.unknown")) == (400, 100)
        one.number = "1"
        assert code(await one.ask("terminate", call_id="wacid.unknown")) == (400, 100)
        one.token = "wrong"
        assert code(await one.ask("terminate", call_id="wacid.unknown")) == (401, 190)


async def test_one_call_with_a_person_at_a_time_and_only_with_permission():
    async with business() as one, peer("actpass") as (_, sdp):
        assert (await one.describe("connect", sdp, to=USER))[0] == 200
        assert code(await one.describe("connect", sdp, to=USER)) == (400, 138003)
        one.graph.permitted = False
        assert code(await one.describe("connect", sdp, to="15550103333")) == (401, 138006)


@pytest.mark.parametrize(
    ("first", "second"),
    [("terminate", "terminate"), ("reject", "terminate"), ("terminate", "accept")],
)
async def test_what_is_over_is_over(first, second):
    async with business() as one, peer("active") as (_, sdp):
        call = await one.graph.ring()
        assert (await one.ask(first, call_id=call.wacid))[0] == 200
        assert code(await one.describe(second, sdp, call_id=call.wacid)) == (400, 100)


# Webhooks


async def test_a_webhook_that_fails_is_sent_again():
    async with business() as one:
        one.statuses = [500, 503]
        one.graph.webhooks.retries = 3
        await one.graph.ring()
        assert one.graph.webhooks.answers == [500, 503, 200]
        assert one.events == ["connect"] * 3


async def test_a_webhook_that_is_not_answered_in_time_counts_as_failed():
    async with business() as one:
        one.graph.webhooks.patience = 0.0
        await one.graph.ring()
        assert one.graph.webhooks.answers == [0]


async def test_fields_are_left_out_and_ends_are_worded_both_ways():
    async with business() as one:
        call = await one.graph.ring(direction=None, **{"from": None})
        await one.graph.hang_up(call, code=138021)
        await one.graph.hang_up(call, code=138021, documented=True)
    items = [told["entry"][0]["changes"][0]["value"] for told in one.told]
    assert not {"direction", "from"} & set(items[0]["calls"][0])
    assert items[1]["calls"][0]["errors"] == items[1]["errors"]
    assert "href" not in items[1]["errors"][0]
    assert "errors" not in items[2]["calls"][0]
    assert items[2]["errors"][0]["href"]


async def test_a_person_rung_is_told_of_in_the_order_that_is_asked_for():
    async with business() as one, peer("actpass") as (_, sdp):
        await one.describe("connect", sdp, to=USER, biz_opaque_callback_data="job-42")
        await until(lambda: one.events == ["connect", "RINGING"])
        await one.graph.hang_up(one.graph.last)
        one.graph.reordered = True
        await one.describe("connect", sdp, to=USER)
        await until(lambda: one.events[3:] == ["RINGING", "connect"])
    value = one.told[0]["entry"][0]["changes"][0]["value"]
    assert value["calls"][0]["biz_opaque_callback_data"] == "job-42"
