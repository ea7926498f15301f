"""Faults at WhatsApp's side, with a double of Meta's API and gateway engines: each is named in time."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle

import pytest

from bridge.call.model import CallId
from tests.calls.whatsapp.test_cloud import cloud_line
from tests.calls.whatsapp.test_gateway import bridged
from tests.support.diagnosed import GOOD_SECONDS, Diagnosed
from tests.support.inprocess import Client, running, settings
from tests.support.peers.bridge_peer import speech
from tests.support.peers.light_peer import LightPeer
from tests.support.sound.speech_compare import tone
from tests.support.two_nodes import one_node_only
from tests.support.virtual_time import monotonic
from tests.support.waiting import until_answer
from tests.support.whatsapp.gateway_double import DOUBLES
from tests.support.whatsapp.graph_double import USER, GraphDouble
from tests.support.whatsapp.graph_webhooks import DoubleCall

META_CUTS_AFTER = 20.0

# What the provider does concerns the node that has the call.
pytestmark = [pytest.mark.call, one_node_only]


@asynccontextmanager
async def meta(speech=None):
    """A bridge with one line at Meta."""
    async with (
        GraphDouble(speech=speech, repeat=True) as graph,
        running(settings(lines={"main": cloud_line(graph)})) as client,
    ):
        graph.webhook = str(client.http.make_url("/whatsapp/webhook"))
        graph.webhooks.rings = str(client.owner.make_url("/whatsapp/webhook"))
        yield client, graph
        await graph.wait_idle()


@dataclass
class Answered:
    """A browser that speaks with a WhatsApp user."""

    client: Client
    call: Diagnosed
    user: DoubleCall


async def ringing(client: Client, graph: GraphDouble) -> tuple[DoubleCall, Diagnosed]:
    """A user rings; return the user, and the call."""
    user = await graph.ring()
    [call] = await until_answer(client.calls)
    return user, Diagnosed(client, call["callId"])


@asynccontextmanager
async def answered(speech_of_user=None, *, muted=False, **switches):
    """A user's call, answered, with a browser that speaks in it."""
    async with meta(speech_of_user) as (client, graph), LightPeer() as browser:
        for name, value in switches.items():
            setattr(graph, name, value)
        user, call = await ringing(client, graph)
        user.media.mute(muted=muted)
        await browser.call(client.exchange(call.call_id))
        talk = asyncio.create_task(browser.speak(cycle(speech(50))))
        try:
            await client.data("/call/answer", {"callId": call.call_id})
            yield Answered(client, call, user)
        finally:
            talk.cancel()
            await asyncio.gather(talk, return_exceptions=True)


async def test_a_good_call_with_a_user_raises_nothing():
    async with answered(tone(5, 880)) as one:
        await asyncio.sleep(GOOD_SECONDS)
        found = await one.call.ask()
        assert (found["verdict"], found["problems"]) == ("ok", [])


# The user's media


async def test_a_user_of_whom_no_packet_ever_comes():
    async with answered(muted=True) as one:
        began = monotonic()
        problem = await one.call.becomes("far_sends_nothing")
        assert problem["hop"] == "provider.network"
        assert problem["evidence"]["packets"] == 0
        assert monotonic() - began < META_CUTS_AFTER
        one.user.media.mute(muted=False)
        await one.call.clears("far_sends_nothing")


async def test_a_user_of_whom_nothing_comes_any_more():
    async with answered(tone(5, 880)) as one:
        await asyncio.sleep(5)
        await one.call.fine()
        one.user.media.mute()
        problem = await one.call.becomes("far_sends_nothing")
        assert problem["evidence"]["packets"] > 0
        one.user.media.mute(muted=False)
        await one.call.clears("far_sends_nothing")


@pytest.mark.parametrize("after", [0.0, 5.0])
async def test_a_user_whom_our_packets_do_not_reach(after):
    async with answered(tone(5, 880)) as one:
        await asyncio.sleep(after)
        await one.call.fine()
        one.user.media.deafen()
        await one.call.becomes("far_not_hearing")
        one.user.media.deafen(deaf=False)
        await one.call.clears("far_not_hearing")


async def test_a_user_who_sends_silence():
    async with answered() as one:
        problem = await one.call.becomes("far_silent", within=10.0)
        assert problem["hop"] == "provider.far"


async def test_a_media_server_that_is_not_reached():
    async with answered(no_media=True) as one:
        problem = await one.call.becomes("ice_no_checks")
        assert problem["hop"] == "provider.network"


# Meta's API


@pytest.mark.parametrize(
    ("switch", "number", "mend"),
    [
        ("permission", 138006, "/call/permission"),
        ("expired", 190, "access_token"),
        ("off", 138000, "whatsapp enable"),
    ],
)
async def test_a_dial_that_meta_refuses(switch, number, mend):
    async with meta() as (client, graph):
        graph.permitted = switch != "permission"
        graph.broken = {switch} - {"permission"}
        response = await client.post("/call/dial", {"phone": USER})
        found = await Diagnosed(client, (await response.json())["callId"]).ask()
        (problem,) = found["problems"]
        assert (problem["code"], problem["hop"]) == ("provider_refused", "provider.signalling")
        assert problem["evidence"]["number"] == number
        assert mend in problem["fix"]
        assert found["verdict"] == "problem"


async def test_a_dial_that_meta_fails():
    async with meta() as (client, graph):
        graph.broken = {"broken"}
        response = await client.post("/call/dial", {"phone": USER})
        found = await Diagnosed(client, (await response.json())["callId"]).ask()
        assert [one["code"] for one in found["problems"]] == ["provider_unreachable"]


async def test_a_dial_that_meta_does_not_answer():
    async with meta() as (client, graph):
        graph.slow_seconds["connect"] = 15.0
        asked = asyncio.create_task(client.post("/call/dial", {"phone": USER}))
        [listed] = await until_answer(client.calls)
        await Diagnosed(client, listed["callId"]).becomes("provider_unreachable")
        await asked


@pytest.mark.parametrize(
    ("switch", "code"), [("expired", "provider_refused"), ("broken", "provider_unreachable")]
)
async def test_an_answer_that_meta_refuses(switch, code):
    async with meta() as (client, graph):
        _, call = await ringing(client, graph)
        await asyncio.sleep(1)
        await call.fine()
        graph.broken = {switch}
        await client.data("/call/answer", {"callId": call.call_id})
        runner = client.bridge.manager.running
        await until_answer(lambda: gone(runner, call))
        found = await call.ask()
        assert (found["problems"][0]["code"], found["verdict"]) == (code, "problem")


async def gone(running_call, call: Diagnosed) -> bool:
    return running_call(CallId(call.call_id)) is None


async def test_a_pre_accept_that_meta_refuses_is_named_until_the_answer_is_taken():
    async with meta() as (client, graph):
        graph.faults["pre_accept"] = [(400, {"error": {"code": 131055, "message": "no"}})]
        _, call = await ringing(client, graph)
        problem = await call.becomes("provider_refused")
        assert "SIP mode" in problem["summary"] + problem["fix"]
        await client.data("/call/answer", {"callId": call.call_id})
        await call.clears("provider_refused")


async def test_an_answer_that_meta_does_not_confirm():
    async with meta() as (client, graph):
        _, call = await ringing(client, graph)
        graph.slow_seconds["accept"] = 15.0
        await client.data("/call/answer", {"callId": call.call_id})
        await call.becomes("provider_unreachable")


async def test_a_call_that_meta_ends_with_an_error():
    async with meta() as (client, graph):
        user, call = await ringing(client, graph)
        await graph.hang_up(user, code=131044)
        await until_answer(lambda: gone(client.bridge.manager.running, call))
        (problem,) = (await call.ask())["problems"]
        assert (problem["code"], problem["evidence"]["number"]) == ("provider_refused", 131044)
        assert "payment" in problem["fix"]


# Gateway engines


@pytest.fixture(params=sorted(DOUBLES))
def dialect(request):
    return request.param


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "provider_refused"),
        (409, "provider_refused"),
        (502, "provider_refused"),
        (500, "provider_unreachable"),
        (None, "provider_unreachable"),
    ],
)
async def test_a_dial_that_the_engine_does_not_take(dialect, status, code):
    async with bridged(dialect) as (engine, client):
        if status is None:
            await engine.stop()
        else:
            engine.refuse["dial"] = (status, "no")
        response = await client.post("/call/dial", {"phone": USER})
        found = await Diagnosed(client, (await response.json())["callId"]).ask()
        assert [one["code"] for one in found["problems"]] == [code]


async def test_an_engine_whose_media_socket_does_not_open(dialect):
    async with bridged(dialect) as (engine, client):
        engine.refuse["stream"] = (500, "no")
        call_id = await client.dial(USER)
        call = Diagnosed(client, call_id)
        await call.becomes("provider_unreachable", within=8.0)
        engine.refuse.clear()
        await call.clears("provider_unreachable")
