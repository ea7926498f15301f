import asyncio
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.errors import CallNotFound, InvalidState, LegError, Unreachable
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.whatsapp import gateway_rest
from bridge.whatsapp.gateway import make_gateway
from bridge.wire.gateway import Phase
from tests.support.whatsapp.gateway_double import DOUBLES, SESSION, TOKEN

NUMBER = "15550107001"


@asynccontextmanager
async def client(dialect, url, token=TOKEN):
    http = Http(Guard(allow=(), require_tls=False))
    try:
        yield make_gateway(http, dialect=dialect, url=url, token=token, session=SESSION)
    finally:
        await http.aclose()


@pytest.fixture(params=sorted(DOUBLES))
def dialect(request):
    return request.param


@asynccontextmanager
async def pair(dialect):
    async with DOUBLES[dialect]() as double, client(dialect, double.url) as asked:
        yield double, asked


async def test_a_call_is_dialled_listed_and_hung_up(dialect):
    async with pair(dialect) as (double, asked):
        double.answers_at_once = False
        call_id = await asked.dial(NUMBER)
        [call] = await asked.calls()
        assert (call.call_id, call.peer, call.inbound) == (call_id, NUMBER, False)
        assert call.phase is Phase.CALLING
        await asked.hangup(call_id)
        assert await asked.calls() == []


async def test_a_ring_is_listed_and_answered(dialect):
    async with pair(dialect) as (double, asked):
        rings = double.ring(NUMBER)
        [call] = await asked.calls()
        assert call.awaits_answer
        await asked.answer(call.call_id)
        assert rings.state == "active"


async def test_sound_goes_over_the_socket_in_the_dialects_own_form(dialect):
    async with pair(dialect) as (double, asked):
        double.speech = np.arange(960, dtype=np.int16)
        call_id = await asked.dial(NUMBER)
        async with asked.socket(call_id) as socket, asyncio.timeout(5):
            message = await socket.receive()
            while not isinstance(message.data, bytes):
                asked.read(message.data)
                message = await socket.receive()
        assert len(message.data) == 960 * asked.media.encoding.sample_bytes


async def test_a_call_that_is_gone_is_not_found(dialect):
    async with pair(dialect) as (_, asked):
        for request in (asked.answer("no/ne"), asked.hangup("no/ne")):
            with pytest.raises(CallNotFound):
                await request
        with pytest.raises(CallNotFound):
            async with asked.socket("no/ne"):
                pass


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (409, InvalidState),
        (502, Unreachable),
        (500, LegError),
        (401, LegError),
        (418, InvalidState),
    ],
)
async def test_a_refusal_carries_the_engines_words_without_numbers(dialect, status, error):
    async with pair(dialect) as (double, asked):
        double.refuse["dial"] = (status, f"not\nenabled for {NUMBER}")
        with pytest.raises(error, match="not enabled for …") as caught:
            await asked.dial(NUMBER)
        assert NUMBER not in str(caught.value)


async def test_a_wrong_token_is_our_fault_and_not_told_to_the_log(dialect):
    async with DOUBLES[dialect]() as double, client(dialect, double.url, "wrong-7") as asked:
        with pytest.raises(LegError, match=r"whatsapp\.token") as caught:
            await asked.calls()
        assert "wrong-7" not in str(caught.value)


@pytest.mark.virtual_time
async def test_an_engine_that_says_nothing_is_not_waited_for(dialect):
    async with pair(dialect) as (double, asked):
        double.stalled = True
        with pytest.raises(LegError, match="does not answer"):
            await asked.dial(NUMBER)


async def answering(respond):
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", respond)
    server = TestServer(application)
    await server.start_server()
    return server


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"[]", b"{}", b'{"data":7}', b'{"data":{}}', b'{"data":{"callId":7}}']
)
async def test_nonsense_from_an_engine_is_an_error_of_ours(dialect, body):
    async def respond(_):
        return web.Response(body=body)

    server = await answering(respond)
    async with client(dialect, str(server.make_url("/"))) as asked:
        for request in (asked.dial(NUMBER), asked.calls()):
            with pytest.raises(LegError):
                await request
    await server.close()


async def test_no_calls_of_an_engine_in_go_are_no_calls():
    async def respond(_):
        return web.json_response({"code": 200, "data": {"calls": None}, "success": True})

    server = await answering(respond)
    async with client("zuckzapgo", str(server.make_url("/"))) as asked:
        assert await asked.calls() == []
    await server.close()


async def test_a_reply_without_an_end_is_given_up(dialect):
    async def respond(_):
        return web.Response(body=b" " * (gateway_rest.MAX_BYTES + 1))

    server = await answering(respond)
    async with client(dialect, str(server.make_url("/"))) as asked:
        with pytest.raises(LegError, match="too long"):
            await asked.calls()
    await server.close()
