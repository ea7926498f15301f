"""Faults of bots in whole calls: each is named within 5 s of when it is one, and first."""

import asyncio
import base64
from collections import deque
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from scipy.signal import resample_poly
from typing_extensions import override

from bridge.audio.frame import Frame
from bridge.call import events
from bridge.call.model import LineName
from bridge.settings.model import Net
from tests.support.clients.caller import Caller
from tests.support.clients.open_problems import first_problem, until_cleared
from tests.support.clients.pcm_client import pcm_client
from tests.support.clients.raw_socket import RawSocket, raw_server
from tests.support.inprocess import running, settings
from tests.support.peers.stock_peer import Pcm, StockPeer
from tests.support.peers.talker import Talker
from tests.support.servers.stream_customer import Customer, customer_server
from tests.support.sound.voices import words
from tests.support.two_nodes import one_node_only
from tests.support.virtual_time import monotonic

TALKS, SILENT = "15550100002", "15550100008"
ECHO_SECONDS = 0.24
RATE = 24_000
FRAME = RATE // 50
pytestmark = [pytest.mark.call, one_node_only]


def local():
    return running(settings(net=Net(allow=["127.0.0.0/8"])))


class Loudspeaker(Caller):
    """A caller whose microphone hears what its loudspeaker plays."""

    def __init__(self) -> None:
        super().__init__()
        self._past = deque([bytes(640)] * round(ECHO_SECONDS / 0.02))

    @override
    def push(self, frame: Frame, now: float) -> None:
        self._past.append((np.frombuffer(frame.pcm, "<i2") // 5).astype("<i2").tobytes())
        if self.to is not None:
            self.to(Frame(self._past.popleft(), frame.pts, 1), now)


async def read_on(ws: RawSocket) -> None:
    while True:
        await ws.message()


async def stream_to(client, call_id: str, url: str, **more: Any) -> None:
    body = {"streamUrl": url, "streamProtocol": "native", **more}
    await client.data(f"/call/{call_id}/streams", body)


def at(rate: int, pcm: Pcm) -> Pcm:
    moved = resample_poly(pcm.astype(float), rate // 8000, 2)
    converted: Pcm = np.clip(np.rint(moved), -32768, 32767).astype(np.int16)
    return converted


async def say(customer: Customer, pcm: Pcm, *, pace: float = 1.0, dtype: str = "<i2") -> None:
    """Send messages of 20 ms at 24 kHz, `pace` times as fast as they are played."""
    began = monotonic()
    for number, begin in enumerate(range(0, len(pcm), FRAME)):
        await asyncio.sleep(max(0.0, began + 0.02 * number / pace - monotonic()))
        await customer.play(pcm[begin : begin + FRAME].astype(dtype).tobytes())


async def burst(customer: Customer, pcm: Pcm) -> None:
    """Send all at once, in messages of half a second."""
    for begin in range(0, len(pcm), RATE // 2):
        await customer.play(pcm[begin : begin + RATE // 2].astype("<i2").tobytes())


@asynccontextmanager
async def streamed(contact: str = SILENT, **more: Any):
    """A call whose bot is a native stream."""
    async with local() as client, customer_server() as server:
        call_id = await client.dial(contact)
        await client.until_state(call_id, "active")
        await stream_to(client, call_id, server.url, **more)
        yield client, call_id, await server.customer()


@asynccontextmanager
async def asked(seconds: float = 2.0):
    """A call whose caller says something once."""
    room = np.random.default_rng(1).normal(0.0, 25.0, 60 * 16_000).astype(np.int16)
    speech = words(0, seconds)
    room[: len(speech)] += speech
    async with local() as client, customer_server() as server, StockPeer(room) as far:
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        await far.call(client.exchange(call_id, party="far"))
        await client.until_state(call_id, "active")
        await stream_to(client, call_id, server.url)
        yield client, call_id, await server.customer()


async def test_a_server_that_refuses_the_handshake_is_named_until_it_takes_it():
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=401)

    application = web.Application()
    application.router.add_get("/media", refuse)
    async with local() as client, TestServer(application) as server, customer_server() as right:
        call_id = await client.dial(TALKS)
        await client.until_state(call_id, "active")
        await stream_to(client, call_id, f"ws://127.0.0.1:{server.port}/media")
        problem = await first_problem(client, call_id)
        assert (problem["code"], problem["hop"]) == ("bot_refused", "stream")
        assert "401" in problem["summary"]
        assert "lines.NAME.stream.secret" in problem["fix"]
        await stream_to(client, call_id, right.url)
        await until_cleared(client, call_id, "bot_refused")


@pytest.mark.full
async def test_a_server_that_does_not_answer_the_handshake_is_named():
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with local() as client:
        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        call_id = await client.dial(TALKS)
        await client.until_state(call_id, "active")
        await stream_to(client, call_id, f"ws://127.0.0.1:{port}/media")
        problem = await first_problem(client, call_id)
        assert problem["code"] == "bot_not_connected"
        server.close()


async def test_messages_that_are_not_understood_are_named_until_they_are():
    async with streamed(streamProtocol="twilio") as (client, call_id, customer):
        payload = base64.b64encode(b"\xff" * 160).decode()
        for _ in range(5):
            await customer.say("media", streamSid="MZwrong", media={"payload": payload})
        problem = await first_problem(client, call_id)
        assert problem["code"] == "bot_messages_ignored"
        assert "streamSid" in problem["fix"]
        await customer.say("media", media={"payload": payload})
        await until_cleared(client, call_id, "bot_messages_ignored")


@pytest.mark.full
async def test_what_is_sent_on_a_one_way_stream_is_heard_by_nobody():
    async with streamed(streamType="oneway") as (client, call_id, customer):
        speech = asyncio.create_task(say(customer, at(RATE, words(0, 6.0))))
        problem = await first_problem(client, call_id)
        speech.cancel()
        assert problem["code"] == "bot_not_heard"
        assert "twoway" in problem["fix"]


@pytest.mark.full
async def test_swapped_bytes_are_noise():
    async with streamed() as (client, call_id, customer):
        speech = asyncio.create_task(say(customer, at(RATE, words(0, 8.0)), dtype=">i2"))
        problem = await first_problem(client, call_id)
        speech.cancel()
        assert problem["code"] == "bot_wrong_format"
        assert problem["evidence"]["looksLike"] == "s16be"
        assert "media_format" in problem["fix"]


@pytest.mark.full
async def test_a_voice_at_another_rate_is_named():
    async with streamed() as (client, call_id, customer):
        speech = asyncio.create_task(say(customer, at(16_000, words(0, 9.0)), pace=2 / 3))
        problem = await first_problem(client, call_id)
        speech.cancel()
        assert problem["code"] == "bot_wrong_rate"
        assert "16000 Hz" in problem["summary"]
        assert "24000 Hz" in problem["fix"]


@pytest.mark.full
async def test_a_bot_that_sends_nothing_is_named_until_it_does():
    async with asked() as (client, call_id, customer):
        problem = await first_problem(client, call_id, within=2.0 + 5.0 + 5.0)
        assert problem["code"] == "bot_sends_nothing"
        await burst(customer, at(RATE, words(1, 3.0)))
        await until_cleared(client, call_id, "bot_sends_nothing")


@pytest.mark.full
async def test_a_webrtc_bot_without_a_track_is_named_until_it_sends():
    async with local() as client, Talker(ssrc=1) as person, Talker(ssrc=2) as bot:
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        await bot.call(client.exchange(call_id, machine=True))
        await person.call(client.exchange(call_id, party="far"))
        await client.until_state(call_id, "active")
        await person.answer(words(0, 8.0).astype(float))
        talks = [asyncio.create_task(person.talk())]
        problem = await first_problem(client, call_id)
        assert (problem["code"], problem["hop"]) == ("bot_sends_nothing", "bot")
        assert "before the offer" in problem["fix"]
        talks.append(asyncio.create_task(bot.talk()))
        await until_cleared(client, call_id, "bot_sends_nothing")
        for talk in talks:
            talk.cancel()


@pytest.mark.full
async def test_a_bot_that_does_not_answer_is_named_until_it_does():
    async with asked() as (client, call_id, customer):
        await burst(customer, at(RATE, words(1, 0.8)))
        problem = await first_problem(client, call_id, within=2.0 + 5.0 + 5.0)
        assert problem["code"] == "bot_no_answer"
        assert "start.media_format" in problem["fix"]
        await burst(customer, at(RATE, words(1, 3.0)))
        await until_cleared(client, call_id, "bot_no_answer")


@pytest.mark.full
@pytest.mark.parametrize(
    ("gain", "code"), [(0.03, "bot_quiet"), (40.0, "bot_clips")], ids=["quiet", "clips"]
)
async def test_a_wrong_gain_is_named_until_it_is_right(gain, code):
    async with streamed() as (client, call_id, customer):
        voice = at(RATE, words(0, 8.0))
        wrong = np.clip(voice * gain, -32768, 32767).astype(np.int16)
        speech = asyncio.create_task(say(customer, wrong))
        problem = await first_problem(client, call_id, within=6.0)
        assert problem["code"] == code
        speech.cancel()
        speech = asyncio.create_task(say(customer, (voice * 0.7).astype(np.int16)))
        await until_cleared(client, call_id, code, within=12.0)
        speech.cancel()


@pytest.mark.full
async def test_a_bot_that_talks_over_its_caller_is_named():
    async with streamed(TALKS) as (client, call_id, customer):
        await burst(customer, np.concatenate([at(RATE, words(0, 9.0))] * 2))
        problem = await first_problem(client, call_id, within=10.0)
        assert problem["code"] == "bot_talks_over"
        assert "clear" in problem["fix"]
        await customer.say("clear")
        await until_cleared(client, call_id, "bot_talks_over", within=15.0)


@pytest.mark.full
async def test_a_bot_whose_own_voice_comes_back_is_named():
    async with local() as client, customer_server() as server:
        runner = await client.bridge.manager.receive(LineName("demo"), SILENT, Loudspeaker())
        runner.dispatch(events.AnswerRequested())
        call_id = runner.facts.call_id
        await stream_to(client, call_id, server.url)
        speech = asyncio.create_task(say(await server.customer(), at(RATE, words(0, 12.0))))
        problem = await first_problem(client, call_id, within=9.0)
        speech.cancel()
        assert problem["code"] == "bot_hears_itself"
        assert problem["evidence"]["delayMs"] == pytest.approx(ECHO_SECONDS * 1000, abs=80)


@pytest.mark.full
async def test_a_server_that_does_not_read_in_time_is_named_until_it_does():
    async with local() as client, raw_server() as server:
        call_id = await client.dial(TALKS)
        await client.until_state(call_id, "active")
        await stream_to(client, call_id, server.url)
        ws = await server.accept()
        problem = await first_problem(client, call_id, within=12.0)
        assert problem["code"] == "bot_reads_slowly"
        reading = asyncio.create_task(read_on(ws))
        await until_cleared(client, call_id, "bot_reads_slowly")
        reading.cancel()


@pytest.mark.full
async def test_a_bot_whose_audio_comes_too_slowly_is_named():
    async with streamed() as (client, call_id, customer):
        speech = asyncio.create_task(say(customer, at(RATE, words(0, 9.0)), pace=0.8))
        problem = await first_problem(client, call_id, within=7.0)
        speech.cancel()
        assert problem["code"] == "bot_falls_behind"


@pytest.mark.full
async def test_a_socket_that_speaks_while_the_call_rings_is_told_so():
    async with local() as client, StockPeer(words(1), repeat=True) as far:
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        async with pcm_client(client.http, f"/call/{call_id}/stream?token=demo") as socket:
            speech = asyncio.create_task(socket.speak(words(0, 4.0)))
            problem = await first_problem(client, call_id)
            speech.cancel()
            assert problem["code"] == "bot_spoke_early"
            assert "first message of audio" in problem["fix"]
            await far.call(client.exchange(call_id, party="far"))
