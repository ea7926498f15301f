"""The operator's detector of interruptions, at a local server."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.agent.overlap_opinion import MAX_BYTES, OverlapOpinion
from bridge.audio.detect.overlap import OverlapKind
from bridge.audio.file.wav import make_header
from bridge.http.address_guard import Guard
from bridge.http.client import Http

SOUND = bytes(640 * 12)


@asynccontextmanager
async def detecting(handle):
    """Run a detector; provide what asks it, and the reasons of failures."""
    http = Http(Guard(allow=[], require_tls=True))
    failures: list[str] = []
    application = web.Application()
    application.router.add_post("/overlap", handle)
    async with TestServer(application) as server:
        url = str(server.make_url("/overlap"))
        try:
            yield OverlapOpinion(http, url, "s3cret", "en", failures.append), failures
        finally:
            await http.aclose()


async def test_it_is_sent_the_audio_and_says_what_it_is():
    seen = []

    async def handle(request):
        seen.append((request.headers["Authorization"], await request.read()))
        return web.json_response({"kind": "backchannel"})

    async with detecting(handle) as (opinion, failures):
        assert await opinion.ask(SOUND) is OverlapKind.BACKCHANNEL
        assert failures == []
    [(authorization, body)] = seen
    assert authorization == "Bearer s3cret"
    assert body == make_header(len(SOUND)) + SOUND


async def test_words_that_it_answers_are_looked_up():
    async def handle(request):
        return web.json_response({"text": "Wait!"})

    async with detecting(handle) as (opinion, failures):
        assert await opinion.ask(SOUND) is OverlapKind.INTERRUPTION
        assert failures == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (web.Response(status=503), "status"),
        (web.Response(status=302, headers={"Location": "/elsewhere"}), "status"),
        (web.Response(text="mm-hm"), "garbage"),
        (web.Response(text='{"kind": "cough"}'), "garbage"),
        (web.Response(body=b" " * (MAX_BYTES + 1)), "too_large"),
    ],
)
async def test_an_answer_of_no_use_is_counted_and_no_opinion(answer, reason):
    async def handle(request):
        return answer

    async with detecting(handle) as (opinion, failures):
        assert await opinion.ask(SOUND) is None
        assert failures == [reason]


async def test_one_that_takes_too_long_is_not_waited_for():
    gone = asyncio.Event()

    async def handle(request):
        try:
            await asyncio.sleep(60)
        finally:
            gone.set()

    async with detecting(handle) as (opinion, failures):
        assert await opinion.ask(SOUND) is None
        assert failures == ["timeout"]


async def test_one_that_is_not_there_is_counted():
    http = Http(Guard(allow=[], require_tls=True))
    failures: list[str] = []
    opinion = OverlapOpinion(http, "http://127.0.0.1:9/", "", "", failures.append)
    assert await opinion.ask(SOUND) is None
    assert failures == ["unreachable"]
    await http.aclose()
