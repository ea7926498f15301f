"""Whole calls over engines that misbehave: what they say wrongly ends nothing, what ends is ended."""

import asyncio
import struct

import pytest

from bridge.call.model import EndReason
from tests.calls.whatsapp.test_gateway import NUMBER, bridged, gone, ringing
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until, until_answer
from tests.support.whatsapp.gateway_double import DOUBLES

# What engines do wrong is the business of the node that has the call; who asks it tells nothing new.
pytestmark = [pytest.mark.call, one_node_only]


@pytest.fixture(params=sorted(DOUBLES))
def dialect(request):
    return request.param


def polls(engine):
    return engine.requests.count(("GET", "status"))


async def more_polls(engine, count=4):
    wanted = polls(engine) + count
    await until(lambda: polls(engine) >= wanted, timeout=120)


async def active(client, engine):
    """Dial, and wait until the engine hears us."""
    call_id = await client.dial(NUMBER)
    far = engine.only
    await client.until_state(call_id, "active", timeout=60)
    return call_id, far


async def received(client, call_id):
    """How many messages of sound came from the engine."""
    legs = (await client.quality(call_id))["legs"]
    return next(leg["received"]["packets"] for leg in legs if leg["kind"] == "gateway")


@pytest.mark.parametrize(
    "lists",
    [lambda calls: "", lambda calls: {"callId": 7}, lambda calls: [*calls, *calls, None, 7, {}]],
    ids=["a word", "an object", "double"],
)
async def test_a_list_that_makes_no_sense_ends_nothing(dialect, lists):
    async with bridged(dialect) as (engine, client):
        call_id, _ = await active(client, engine)
        engine.lists = lists
        await more_polls(engine)
        assert await client.state(call_id) == "active"
        assert len(await client.calls()) == 1


async def test_a_list_that_is_empty_once_ends_nothing(dialect):
    async with bridged(dialect) as (engine, client):
        call_id, _ = await active(client, engine)
        empties = 0

        def every_other(calls):
            nonlocal empties
            empties += 1
            return calls if empties % 2 else []

        engine.lists = every_other
        await more_polls(engine, 8)
        assert await client.state(call_id) == "active"
        engine.lists = lambda calls: []
        assert await gone(client, call_id) == EndReason.REMOTE_HANGUP


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{", b'{"data":{}}', b'{"data":"\xff"}', b"[" * 5000]
)
async def test_garbage_instead_of_the_list_ends_nothing(dialect, body):
    async with bridged(dialect) as (engine, client):
        call_id, _ = await active(client, engine)
        engine.garbage["status"] = body
        await more_polls(engine)
        assert await client.state(call_id) == "active"


async def test_an_engine_that_fails_for_a_while_loses_no_call_and_no_ring(dialect):
    async with bridged(dialect) as (engine, client):
        call_id, _ = await active(client, engine)
        for word in ("status", "stream", "answer", "hangup"):
            engine.refuse[word] = (500, "broken")
        engine.ring()
        await more_polls(engine)
        assert await client.state(call_id) == "active"
        engine.refuse.clear()

        async def both():
            return len(await client.calls()) >= 2

        await until_answer(both, timeout=60)


async def test_a_dial_that_is_answered_with_garbage_is_hung_up_on_the_engine(dialect):
    async with bridged(dialect) as (engine, client):
        engine.garbage["dial"] = b'{"data":{"callId":null}}'
        assert (await client.post("/call/dial", {"phone": NUMBER})).status == 502
        engine.dial(NUMBER)
        await until(lambda: engine.calls == {})


async def test_a_dial_that_nobody_answers_is_given_up_and_hung_up(dialect):
    async with bridged(dialect) as (engine, client):
        await until(lambda: polls(engine) > 0)
        engine.stalled = True
        response = await client.post("/call/dial", {"phone": NUMBER})
        assert response.status == 502
        assert await client.calls() == []
        # The engine has rung all the same, and comes back.
        engine.dial(NUMBER)
        engine.stalled = False
        await until(lambda: engine.calls == {}, timeout=60)


async def test_a_slow_engine_is_waited_for(dialect):
    async with bridged(dialect, slow=0.4) as (engine, client):
        call_id, _ = await active(client, engine)
        await client.data("/call/hangup", {"callId": call_id})
        await until(lambda: engine.calls == {})


async def test_a_socket_that_is_cut_in_the_middle_of_a_message_is_opened_again(dialect):
    async with bridged(dialect) as (engine, client):
        call_id, far = await active(client, engine)
        engine.cut(far)
        await until(lambda: far.opened == 2 and far.sockets)
        before = len(far.heard)
        await until(lambda: len(far.heard) > before + 5)
        assert await client.state(call_id) == "active"


async def test_sound_in_messages_of_any_size_is_heard(dialect):
    async with bridged(dialect) as (engine, client):
        # Halves of samples, and more than a frame.
        engine.sizes = [1, 2, 3, 641, 7, 1919, 5000]
        call_id, _ = await say(engine, client)
        before = await received(client, call_id)

        async def heard():
            return await received(client, call_id) >= before + 30

        await until_answer(heard, timeout=60)
        assert await client.state(call_id) == "active"


async def test_what_is_no_sound_on_the_socket_ends_nothing(dialect):
    async with bridged(dialect) as (engine, client):
        engine.interludes = [
            "hello",
            "{",
            '{"type":"buffer","bufferedMs":"x","pauseMs":null,"resumeMs":[]}',
            '{"type":"error","code":{"a":1}}',
            '{"type":"call_state","call":{"state":"dancing"}}',
            '{"type":"call_state","call":7}',
            b"",
            b"\xff",
            struct.pack("<3f", float("nan"), float("inf"), 1e30),
        ]
        call_id, far = await say(engine, client)
        await until(lambda: engine.interludes == [])
        await until(lambda: far.said > 0)
        before = await received(client, call_id)

        async def heard():
            return await received(client, call_id) >= before + 5

        await until_answer(heard, timeout=60)
        assert (await client.state(call_id), far.opened) == ("active", 1)


async def say(engine, client):
    """Begin a call whose far party speaks silence."""
    engine.speech = [0] * 960
    return await active(client, engine)


async def test_every_message_of_ours_has_the_dialects_size(dialect):
    async with bridged(dialect) as (engine, client):
        _, far = await active(client, engine)
        await until(lambda: len(far.heard) >= 10)
        size = 1920 if dialect == "zuckzapgo" else 1280
        assert {len(message) for message in far.heard} == {size}


async def test_we_pause_when_the_engine_has_too_much_and_go_on_when_it_has_less():
    async with bridged("wadial") as (engine, client):
        _, far = await active(client, engine)
        await until(lambda: len(far.heard) >= 5)
        told = {"type": "buffer", "bufferedMs": 9000, "pauseMs": 500, "resumeMs": 250}
        await engine.tell(far, told)
        await asyncio.sleep(0.1)
        held = len(far.heard)
        await asyncio.sleep(0.3)
        assert len(far.heard) <= held + 1
        await engine.tell(far, told | {"bufferedMs": 200})
        await until(lambda: len(far.heard) > held + 5)


@pytest.mark.parametrize("step", ["dialled", "ringing", "answered", "talking", "reconnecting"])
async def test_hanging_up_at_any_step_leaves_nothing_on_the_engine(dialect, step):
    async with bridged(dialect, answers_at_once=False) as (engine, client):
        call_id = await client.dial(NUMBER)
        far = engine.only
        if step != "dialled":
            far.state = "ringing"
        if step in ("answered", "talking", "reconnecting"):
            engine.pick_up(far)
        if step in ("talking", "reconnecting"):
            await until(lambda: far.heard)
        if step == "reconnecting":
            engine.refuse["stream"] = (503, "later")
            await engine.drop_sockets(far)
        await client.data("/call/hangup", {"callId": call_id})
        await until(lambda: engine.calls == {})
        assert await client.state(call_id) == "gone"


@pytest.mark.parametrize("answered", [False, True])
async def test_a_far_party_that_hangs_up_while_we_do_is_no_error(dialect, answered):
    async with bridged(dialect) as (engine, client):
        far = engine.ring()
        call_id = (await ringing(client))["callId"]
        if answered:
            await client.data("/call/answer", {"callId": call_id})
        await asyncio.gather(engine.end(far), client.post("/call/hangup", {"callId": call_id}))
        assert await gone(client, call_id) in set(EndReason)
        assert engine.calls == {}


async def test_digits_are_refused_with_the_reason(dialect):
    async with bridged(dialect) as (engine, client):
        call_id, _ = await active(client, engine)
        response = await client.post("/call/dtmf", {"callId": call_id, "digits": "12#"})
        assert response.status == 501
        assert "gateway" in (await response.json())["error"]
