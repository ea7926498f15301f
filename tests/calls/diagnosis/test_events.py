"""What is wrong with a call, as its customer's server hears of it while something can still be done."""

from contextlib import asynccontextmanager

import pytest

from bridge.settings.model import Line, Net, WhatsApp
from tests.support.clients.event_stream import listening
from tests.support.inprocess import running, settings
from tests.support.peers.stock_peer import StockPeer
from tests.support.servers.receiver import receiving
from tests.support.sound.speech_compare import tone
from tests.support.virtual_time import monotonic
from tests.support.waiting import until
from tests.support.whatsapp.graph_double import NUMBER_ID, SECRET, TOKEN, USER, VERIFY, GraphDouble

pytestmark = pytest.mark.call

OPEN = Net(allow=["127.0.0.0/8"])
PROBLEMS = {"events": ["call.problem", "call.problem_cleared"]}
AT_MOST = 5.0
"""Seconds from the fault to the webhook; Meta ends a call without media after 20."""


@asynccontextmanager
async def world(**form):
    """A line at Meta, a browser, and a server that is sent problems."""
    async with (
        GraphDouble(**form) as graph,
        receiving() as receiver,
        StockPeer(tone(30, 440)) as peer,
    ):
        whatsapp = WhatsApp(
            provider="cloud", phone_number_id=NUMBER_ID, access_token=TOKEN, app_secret=SECRET,
            verify_token=VERIFY, base_url=graph.url,
        )  # fmt: skip
        lines = {"main": Line(keys=["demo"], numbers=["15550101000"], whatsapp=whatsapp)}
        async with running(settings(lines=lines, net=OPEN)) as client:
            graph.webhook = str(client.http.make_url("/whatsapp/webhook"))
            await client.data("/webhook", {"url": receiver.url} | PROBLEMS)
            yield client, graph, receiver, peer
            await graph.wait_idle()


async def told_of(receiver, code, kind="call.problem"):
    """Wait until a problem is posted; return its data, and how long it took."""
    began = monotonic()

    def posted():
        told = [taken.json for taken in receiver.taken]
        return [one["data"] for one in told if (one["type"], one["data"]["code"]) == (kind, code)]

    await until(posted, timeout=30)
    return posted()[0], monotonic() - began


async def test_a_far_party_that_stops_sending_is_told_of_and_that_it_sends_again():
    async with world(speech=tone(60, 880), repeat=True) as (client, graph, receiver, browser):
        call_id = await client.dial(USER)
        await browser.call(client.exchange(call_id))
        await graph.pick_up(graph.last)
        await browser.wait_heard(1.0)
        graph.last.media.mute()
        problem, seconds = await told_of(receiver, "far_sends_nothing")
        assert (problem["hop"], problem["severity"]) == ("provider.network", "broken")
        assert problem["summary"].startswith("Nobody hears the far party")
        assert seconds < AT_MOST
        graph.last.media.mute(muted=False)
        _, seconds = await told_of(receiver, "far_sends_nothing", "call.problem_cleared")
        assert seconds < AT_MOST
        await client.data("/call/hangup", {"callId": call_id})


async def test_a_far_party_that_never_connects_is_told_of_before_meta_ends_the_call():
    async with world() as (client, graph, receiver, browser):
        graph.no_media = True
        call_id = await client.dial(USER)
        await browser.call(client.exchange(call_id))
        await graph.pick_up(graph.last)
        async with listening(client, f"/call/{call_id}/events") as stream:
            problem, seconds = await told_of(receiver, "ice_no_checks")
            assert problem["hop"] == "provider.network"
            assert seconds < AT_MOST
            told = await stream.until_type("call.problem")
            assert told["data"] == problem
            await stream.until_type("call.ended")

        response = await client.get(f"/call/{call_id}/diagnosis")
        found = (await response.json())["data"]
        assert (found["state"], found["verdict"]) == ("ended", "problem")
        assert found["problems"][0]["code"] == "ice_no_checks"
