"""Whole calls between a stock browser and a WhatsApp engine, in both dialects."""

from contextlib import asynccontextmanager

import numpy as np
import pytest

from bridge.call.model import EndReason
from bridge.providers.gateway.follower import POLL_SECONDS
from bridge.settings.model import Line, WhatsApp
from tests.support.inprocess import running, settings
from tests.support.peers.stock_peer import RATE, StockPeer
from tests.support.sound.speech_compare import likeness, tone
from tests.support.sound.voices import words
from tests.support.virtual_time import monotonic
from tests.support.waiting import until, until_answer
from tests.support.whatsapp.gateway_double import DOUBLES, SESSION, TOKEN

NUMBER = "15550107001"

pytestmark = pytest.mark.call


@pytest.fixture(params=sorted(DOUBLES))
def dialect(request):
    return request.param


def line(engine):
    whatsapp = WhatsApp(
        provider="gateway",
        dialect=engine.dialect,
        url=engine.url,
        token=TOKEN,
        session=SESSION if engine.dialect == "wadial" else "",
    )
    return Line(keys=["demo"], whatsapp=whatsapp)


@asynccontextmanager
async def bridged(dialect, **double):
    """A bridge with one line on an engine of this dialect."""
    async with DOUBLES[dialect]() as engine:
        for name, value in double.items():
            setattr(engine, name, value)
        async with running(settings(lines={"main": line(engine)})) as client:
            yield engine, client
        assert engine.problems == []


async def ringing(client):
    """Wait for a call that rings us."""
    [call] = await until_answer(client.calls, timeout=60)
    return call


async def gone(client, call_id):
    """Wait for the call's end and give its reason."""
    await client.until_state(call_id, "gone", timeout=60)
    return (await client.quality(call_id))["endReason"]


async def test_sound_goes_both_ways_in_a_call_that_we_dial(dialect):
    mine, theirs = words(0, 5.0), words(1, 5.0)
    async with bridged(dialect, speech=theirs) as (engine, client), StockPeer(mine) as peer:
        call_id = await client.dial(NUMBER)
        far = engine.only
        await until(lambda: far.opened == 1)
        await peer.call(client.exchange(call_id))
        assert far.number == NUMBER
        await until(lambda: engine.seconds_heard(far) > 6.5, timeout=20)
        await peer.wait_heard(5.2)
        assert await client.state(call_id) == "active"
        heard = engine.heard(far)
    assert likeness(mine[: 4 * RATE], heard) > 0.8
    # The browser came a moment after the far party had begun to speak.
    assert likeness(theirs[RATE : int(4.5 * RATE)], peer.heard()) > 0.8


async def test_sound_goes_both_ways_in_a_call_that_rings_us(dialect):
    mine = tone(20, 440)
    async with bridged(dialect) as (engine, client), StockPeer(mine) as peer:
        far = engine.ring("15550107777")
        call = await ringing(client)
        assert (call["direction"], call["state"]) == ("inbound", "ringing")
        assert call["peer"] == "15550107777@s.whatsapp.net"
        await client.data("/call/answer", {"callId": call["callId"]})
        await peer.call(client.exchange(call["callId"]))
        await peer.wait_heard(1.0)
        assert far.state == "active"
        assert loudest(engine.heard(far)[-RATE // 2 :]) == pytest.approx(440, abs=10)
        assert loudest(peer.heard()[-RATE // 2 :]) == pytest.approx(440, abs=10)


async def test_a_call_rings_until_the_far_party_picks_up(dialect):
    async with bridged(dialect, answers_at_once=False) as (engine, client):
        call_id = await client.dial(NUMBER)
        engine.only.state = "ringing"
        await client.until_state(call_id, "ringing", timeout=60)
        engine.pick_up(engine.only)
        await client.until_state(call_id, "active", timeout=60)


async def test_a_far_party_that_hangs_up_ends_the_call_even_when_the_socket_stays_open(dialect):
    async with bridged(dialect) as (engine, client), StockPeer(tone(10)) as peer:
        call_id = await client.dial(NUMBER)
        await peer.call(client.exchange(call_id))
        await peer.wait_heard(0.5)
        far = engine.only
        await engine.end(far, close=False)
        assert await gone(client, call_id) == EndReason.REMOTE_HANGUP
        await peer.wait_ended()
        await until(lambda: far.sockets == [])
    # A call that is gone is not hung up once more.
    assert ("POST", "hangup") not in engine.requests


async def test_hanging_up_ends_the_engines_call(dialect):
    async with bridged(dialect) as (engine, client):
        call_id = await client.dial(NUMBER)
        await until(lambda: engine.only.opened)
        await client.data("/call/hangup", {"callId": call_id})
        await until(lambda: engine.calls == {}, timeout=1.0)


async def test_declining_a_ring_ends_it_on_the_engine(dialect):
    async with bridged(dialect) as (engine, client):
        far = engine.ring()
        call = await ringing(client)
        await client.data("/call/hangup", {"callId": call["callId"]})
        await until(lambda: engine.calls == {}, timeout=1.0)
        assert (await client.quality(call["callId"]))["endReason"] == EndReason.REJECTED
        assert far.opened == 0


async def test_a_ring_that_stops_is_a_canceled_call(dialect):
    async with bridged(dialect) as (engine, client):
        far = engine.ring()
        call = await ringing(client)
        await engine.end(far)
        assert await gone(client, call["callId"]) == EndReason.CANCELED


async def test_a_call_whose_socket_breaks_goes_on_over_a_new_one(dialect):
    async with bridged(dialect) as (engine, client), StockPeer(tone(30)) as peer:
        call_id = await client.dial(NUMBER)
        await peer.call(client.exchange(call_id))
        await peer.wait_heard(0.5)
        far = engine.only
        await engine.drop_sockets(far)
        await until(lambda: far.opened == 2 and far.sockets)
        before = len(far.heard)
        await until(lambda: len(far.heard) > before + 10)
        await peer.wait_heard(peer.ear.seconds + 0.5)
        assert await client.state(call_id) == "active"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(502, 502), (409, 409), (404, 404), (400, 400), (401, 502), (500, 502), (429, 503)],
)
async def test_a_refused_dial_leaves_no_call(dialect, status, expected):
    told = "calls engine not enabled for 15550107001"
    async with bridged(dialect, refuse={"dial": (status, told)}) as (_, client):
        response = await client.post("/call/dial", {"phone": NUMBER})
        words = (await response.json())["error"]
        assert response.status == expected
        assert await client.calls() == []
        assert "calls engine not enabled" in words
        assert NUMBER not in words


async def test_an_engine_that_is_down_is_unreachable(dialect):
    async with bridged(dialect) as (engine, client):
        await engine.stop()
        response = await client.post("/call/dial", {"phone": NUMBER})
        assert response.status == 502
        assert await client.calls() == []


async def test_a_webhook_makes_the_bridge_look_at_once(dialect):
    async with bridged(dialect) as (engine, client):
        await until(lambda: ("GET", "status") in engine.requests)
        far = engine.ring()
        event = {"event": "v1.call.offer", "v1": {"callId": far.call_id}}
        response = await client.post("/gateway/webhook?token=demo", event, headers={})
        assert response.status == 200
        asked = monotonic()
        await ringing(client)
        assert monotonic() - asked < POLL_SECONDS / 2


async def test_an_event_of_wadials_stream_makes_the_bridge_look_at_once():
    async with bridged("wadial") as (engine, client):
        await until(lambda: engine.listeners)
        await until(lambda: ("GET", "status") in engine.requests)
        far = engine.ring()
        began = monotonic()
        await engine.publish("call.incoming", far)
        call = await ringing(client)
        await engine.end(far)
        await engine.publish("call.ended", far)
        assert await gone(client, call["callId"]) == EndReason.CANCELED
        assert monotonic() - began < POLL_SECONDS / 2


async def test_neither_the_engines_token_nor_numbers_are_logged(dialect, caplog):
    caplog.set_level("DEBUG")
    async with bridged(dialect) as (engine, client):
        call_id = await client.dial(NUMBER)
        await until(lambda: engine.only.opened)
        await engine.drop_sockets(engine.only)
        await engine.end(engine.only)
        await gone(client, call_id)
        engine.refuse["dial"] = (409, f"no {NUMBER}")
        await client.post("/call/dial", {"phone": NUMBER})
    log = "\n".join(
        str(record.__dict__) for record in caplog.records if record.name.startswith("bridge")
    )
    assert "leg.connected" in log
    assert TOKEN not in log
    assert NUMBER not in log


def loudest(sound) -> float:
    """The strongest frequency, in hertz."""
    spectrum = np.abs(np.fft.rfft(sound.astype(float) * np.hanning(len(sound))))
    return float(np.argmax(spectrum)) * RATE / len(sound)


async def test_a_message_goes_along_with_a_rejection_where_the_engine_takes_it(dialect):
    async with bridged(dialect) as (engine, client):
        call = await told_ring(engine, client)
        body = {"call_id": call["callId"], "call_from": call["peer"], "message": "I call you back."}
        answer = await client.post("/call/reject/send", body)
        assert answer.status == 200
        reply = await answer.json()
        assert await gone(client, call["callId"]) in ("rejected", "remote_hangup")
        if dialect == "zuckzapgo":
            assert (reply["message_sent"], engine.messages) == (
                True,
                [("15550107777", "I call you back.")],
            )
        else:
            assert (reply["message_sent"], bool(reply["message_error"])) == (False, True)
        await until(lambda: not engine.calls)


async def test_an_engine_that_refuses_the_message_declines_the_call_all_the_same(dialect):
    async with bridged(dialect, refuse={"send": (500, "no")}) as (engine, client):
        call = await told_ring(engine, client)
        body = {"call_id": call["callId"], "call_from": call["peer"], "message": "Later"}
        reply = await (await client.post("/call/reject/send", body)).json()
        assert (reply["message_sent"], bool(reply["message_error"])) == (False, True)
        assert await gone(client, call["callId"]) == "rejected"
        await until(lambda: not engine.calls)


async def told_ring(engine, client):
    """Let somebody ring the engine's number; gives our call."""
    engine.ring()
    return await ringing(client)
