"""Faults of sockets, streams, agents, recordings and microphones: each is named within 5 s, and first."""

import asyncio
import errno
from collections.abc import Callable
from contextlib import asynccontextmanager

import msgspec
import numpy as np
import pytest
from scipy.signal import resample_poly

from bridge.audio.codec.g711 import MULAW
from bridge.audio.frame import FRAME_BYTES
from bridge.call.events import HoldRequested, MuteRequested
from bridge.media.disk_space import DiskSpace
from bridge.settings.model import Agent, Net
from tests.support.clients.open_problems import (
    diagnosis,
    first_problem,
    open_problems,
    until_cleared,
)
from tests.support.clients.pcm_client import pcm_client, url_of
from tests.support.clients.raw_socket import raw_client
from tests.support.inprocess import KEY, running, settings
from tests.support.packets.rtp_party import encoded
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.stock_peer import Pcm, StockPeer
from tests.support.servers.provider_double import providing
from tests.support.servers.stream_customer import customer_server
from tests.support.sound.speech_compare import tone
from tests.support.sound.voices import words
from tests.support.two_nodes import one_node_only
from tests.support.virtual_time import VirtualTimeLoop, monotonic

ECHO, TALKS, SILENT = "15550100001", "15550100002", "15550100008"
pytestmark = [
    pytest.mark.call,
    one_node_only,
]  # how a diagnosis is forwarded is tested in tests/api


def socket_path(call_id: str, more: str = "") -> str:
    return f"/call/{call_id}/stream?token=demo{more}"


def local_streams():
    return running(settings(net=Net(allow=["127.0.0.0/8"])))


async def play(socket, data: bytes, second_bytes: int) -> None:
    """Send audio as fast as it is to be played."""
    size, began = round(second_bytes * 0.06) // 4 * 4, monotonic()
    for number, begin in enumerate(range(0, len(data), size)):
        await asyncio.sleep(max(0.0, began + number * size / second_bytes - monotonic()))
        await socket.send(data[begin : begin + size])


# Media sockets


async def test_a_socket_that_sends_nothing_is_named():
    async with running() as client:
        call_id = await client.dial(ECHO)
        async with pcm_client(client.http, socket_path(call_id)):
            problem = await first_problem(client, call_id)
    assert (problem["code"], problem["hop"]) == ("socket_sends_nothing", "socket")


def floats(speech: Pcm) -> bytes:
    return (speech / np.float32(32768)).astype("<f4").tobytes()


def at_rate(rate: int) -> Callable[[Pcm], bytes]:
    return lambda speech: (
        np.rint(resample_poly(speech.astype(float), rate, 16_000)).astype("<i2").tobytes()
    )


@pytest.mark.parametrize(
    ("encode", "second_bytes", "found"),
    [
        (floats, 64_000, "f32le"),
        (lambda speech: speech.astype(">i2").tobytes(), 32_000, "s16be"),
        (lambda speech: MULAW.encode(speech.astype("<i2").tobytes()), 16_000, "mulaw"),
        (at_rate(8_000), 16_000, "audio at 8000 Hz"),
        (at_rate(48_000), 96_000, "audio at 48000 Hz"),
    ],
    ids=["floats", "swapped bytes", "mu-law", "8 kHz", "48 kHz"],
)
async def test_a_socket_that_sends_another_format_is_named(encode, second_bytes, found):
    async with running() as client:
        call_id = await client.dial(ECHO)
        async with pcm_client(client.http, socket_path(call_id)) as socket:
            speech = asyncio.create_task(play(socket, encode(words(0, 8.0)), second_bytes))
            problem = await first_problem(client, call_id)
            speech.cancel()
    assert (problem["code"], problem["severity"]) == ("socket_wrong_format", "broken")
    assert problem["evidence"]["looksLike"] == found


async def test_a_socket_that_is_not_read_is_named():
    async with running() as client:
        call_id = await client.dial(ECHO)
        async with raw_client(url_of(client.http, socket_path(call_id))):
            problem = await first_problem(client, call_id)
    assert (problem["code"], problem["severity"]) == ("socket_reader_slow", "degraded")


# Streams


async def stream_to(client, call_id: str, url: str) -> int:
    body = {"stream_url": url, "stream_type": "twoway", "stream_channel": "inbound"}
    path = f"/v1/call/{call_id}/streams?appid=demo"
    async with client.http.post(path, json=body) as response:
        return int(response.status)


async def test_a_stream_that_nobody_accepts_is_named():
    async with local_streams() as client:
        call_id = await client.dial(TALKS)
        assert await stream_to(client, call_id, "ws://127.0.0.1:9/media") == 200
        problem = await first_problem(client, call_id)
    assert (problem["code"], problem["hop"]) == ("stream_unreachable", "stream")
    assert problem["evidence"]["reason"] == "unreachable"


async def test_a_stream_that_breaks_off_in_a_call_is_named_until_another_one_works():
    async with local_streams() as client, customer_server() as server:
        call_id = await client.dial(TALKS)
        assert await stream_to(client, call_id, server.url) == 200
        customer = await server.customer()
        customer.break_off()
        problem = await first_problem(client, call_id)
        assert problem["code"] == "stream_unreachable"
        assert await stream_to(client, call_id, server.url) == 200
        await until_cleared(client, call_id, "stream_unreachable")


async def test_a_stream_that_its_customer_closes_is_no_problem():
    async with local_streams() as client, customer_server() as server:
        call_id = await client.dial(TALKS)
        assert await stream_to(client, call_id, server.url) == 200
        await (await server.customer()).close()
        await asyncio.sleep(3.0)
        assert await open_problems(client, call_id) == []


# Agents


@asynccontextmanager
async def called_agent(**answers: object):
    """A call to a line whose agent has these answers of its providers."""
    chosen = msgspec.structs.replace(
        settings(), net=Net(allow=["127.0.0.0/8"]), agent=Agent(end_seconds=0.2)
    )
    async with providing() as double, running(chosen) as client:
        double.answers |= answers
        body = double.config("ai", callGreeting="")
        assert (await client.http.put("/call/config", json=body, headers=KEY)).status == 200
        await client.data("/session/connect", {})
        yield client, (await client.data("/simulator/incoming", {"from": TALKS}))["callId"]


@pytest.mark.parametrize("step", ["stt", "llm", "tts"])
async def test_an_agents_provider_that_fails_is_named_with_its_step(step):
    async with called_agent(**{step: 500}) as (client, call_id):
        # The caller's first utterance takes four seconds.
        problem = await first_problem(client, call_id, within=9.0)
    assert (problem["code"], problem["hop"]) == ("agent_provider_failed", "agent")
    assert problem["evidence"]["step"] == step


async def test_the_agents_apology_is_no_end_of_its_problem():
    async with called_agent(llm=500) as (client, call_id):
        await first_problem(client, call_id, within=9.0)
        await asyncio.sleep(2.0)
        assert [one["code"] for one in await open_problems(client, call_id)] == [
            "agent_provider_failed"
        ]


async def test_an_agent_that_replies_late_is_named_with_its_slowest_step():
    async with called_agent(llm=4.0) as (client, _), StockPeer(words(0, 2.0)) as far:
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        await far.call(client.exchange(call_id, party="far"))
        await client.until_state(call_id, "active")
        await client.data("/call/agent/start", {"callId": call_id})
        problem = await first_problem(client, call_id, within=10.0)
    assert (problem["code"], problem["severity"]) == ("agent_slow", "degraded")
    assert problem["evidence"]["slowestStep"] == "llm"


# Recordings


async def test_a_recording_whose_disk_is_full_is_named_and_the_call_goes_on(monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "full")

    async with running() as client:
        call_id = await client.dial(TALKS)
        await client.data("/call/record/start", {"callId": call_id})
        monkeypatch.setattr(DiskSpace, "check", full)
        problem = await first_problem(client, call_id)
        assert await client.state(call_id) == "active"
    assert (problem["code"], problem["hop"]) == ("recording_failed", "recording")
    assert problem["evidence"]["reason"] == "disk_full"


# The bridge


async def test_a_bridge_that_is_too_busy_is_named():
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    async with running() as client:
        call_id = await client.dial(TALKS)
        await client.data("/call/record/start", {"callId": call_id})

        async def busy():
            while True:
                loop.block(0.15)
                await asyncio.sleep(0.05)

        work = asyncio.create_task(busy())
        problem = await first_problem(client, call_id)
        work.cancel()
    assert (problem["code"], problem["hop"]) == ("bridge_overloaded", "bridge")


async def test_a_call_that_nobody_joins_is_named():
    async with running() as client:
        call_id = await client.dial(TALKS)
        problem = await first_problem(client, call_id, within=6.0)
    assert (problem["code"], problem["severity"]) == ("nobody_joined", "broken")


@asynccontextmanager
async def browser_call(contact: str, speech: Pcm | None):
    """A call of the page's kind."""
    async with running() as client, StockPeer(speech, repeat=True) as peer:
        call_id = await client.dial(contact)
        exchange = client.exchange(call_id)
        await peer.call(exchange)
        yield client, call_id, exchange.leg_id


@pytest.mark.parametrize(
    ("request_", "code"),
    [(MuteRequested(muted=True), "muted"), (HoldRequested(held=True), "held")],
    ids=["mute", "hold"],
)
async def test_what_this_side_does_on_purpose_is_a_notice(request_, code):
    async with browser_call(TALKS, words(0)) as (client, call_id, _):
        client.bridge.manager.running(call_id).dispatch(request_)
        problem = await first_problem(client, call_id)
        assert (await diagnosis(client, call_id))["verdict"] != "problem"
    assert (problem["code"], problem["severity"]) == (code, "notice")


async def test_a_party_that_is_muted_here_is_named():
    async with browser_call(TALKS, words(0)) as (client, call_id, leg_id):
        await client.data("/call/mute", {"callId": call_id, "legID": leg_id, "muted": True})
        problem = await first_problem(client, call_id)
    assert (problem["code"], problem["legID"]) == ("microphone_muted", leg_id)


# Microphones


async def test_a_silent_microphone_is_named():
    async with browser_call(TALKS, None) as (client, call_id, leg_id):
        problem = await first_problem(client, call_id, within=6.0)
        later = await first_problem(client, call_id)
    assert (problem["code"], problem["severity"]) == ("microphone_silent", "broken")
    assert (later["code"], later["legID"]) == ("microphone_silent", leg_id)


async def test_a_microphone_at_full_scale_is_named():
    square = (32_767 * np.sign(tone(6.0, 200) + 0.5)).astype("<i2").tobytes()
    frames = [square[begin : begin + FRAME_BYTES] for begin in range(0, len(square), FRAME_BYTES)]
    async with running() as client, LightPeer() as browser:
        call_id = await client.dial(TALKS)
        exchange = client.exchange(call_id)
        await browser.call(exchange)
        speech = asyncio.create_task(browser.speak(encoded(frames=frames)))
        problem = await first_problem(client, call_id)
        speech.cancel()
    assert (problem["code"], problem["legID"]) == ("clipping", exchange.leg_id)


async def test_a_silent_far_party_is_named_within_ten_seconds():
    async with browser_call(SILENT, words(0)) as (client, call_id, _):
        problem = await first_problem(client, call_id, within=10.0)
    assert (problem["code"], problem["hop"]) == ("far_silent", "provider.far")
