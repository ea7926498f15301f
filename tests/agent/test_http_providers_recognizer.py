"""Speech recognition over HTTP: what is asked for, and what is made of the response."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.agent.http_providers import MAX_WORDS, HttpRecognizer
from bridge.agent.provider_client import Endpoint
from bridge.agent.providers import ProviderFailed, Recognized
from bridge.audio.file.wav import parse_wav
from bridge.call.model import LineName
from bridge.call.transcript import Word
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.settings.agent import Agent
from tests.agent.test_http_providers import LOOPBACK
from tests.support.servers.provider_double import providing

PCM = bytes(6400)


async def recognize(answer):
    http = Http(Guard(allow=LOOPBACK, require_tls=False))
    async with providing() as double:
        double.answers["stt"] = answer
        at = Endpoint(http.of(LineName("main")), "stt", f"{double.root}/stt", "s3cret", 5.0)
        try:
            found = await HttpRecognizer(at, Agent()).recognize(PCM)
        finally:
            await http.aclose()
        [(_, body)] = double.asked
        assert isinstance(body, bytes)
        assert parse_wav(body).pcm == PCM
        assert double.tokens == ["Bearer s3cret"]
        return found


async def test_words_and_language_are_read_where_they_are_told():
    sent = {
        "text": " Hello there ",
        "language": "en",
        "words": [{"word": " Hello", "start": 0, "end": 0.4}],
    }
    assert await recognize(sent) == Recognized("Hello there", (Word("Hello", 0.0, 0.4),), "en")


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"words": "all"},
        {"words": [{"word": "x"}]},
        {"words": [{"word": "x", "start": "a", "end": 1}]},
        {"words": [{"word": 3, "start": 0, "end": 1}]},
        {"words": [{"word": "x", "start": 2, "end": 1}]},
        {"words": [None]},
        {"language": 7},
    ],
)
async def test_malformed_extras_leave_the_text(more):
    assert await recognize({"text": "Yes.", **more}) == Recognized("Yes.")


async def test_no_more_words_are_kept_than_needed():
    words = [{"word": "a", "start": 1, "end": 1}] * (MAX_WORDS + 5)
    assert len((await recognize({"text": "a", "words": words})).words) == MAX_WORDS


async def test_a_response_without_a_text_is_a_failure():
    with pytest.raises(ProviderFailed) as failed:
        await recognize({"words": []})
    assert failed.value.reason == "garbage"


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", {"model": "whisper-1", "response_format": "json"}),
        (
            "?model=m&words=true",
            {
                "model": "m",
                "response_format": "verbose_json",
                "timestamp_granularities[]": "word",
            },
        ),
    ],
)
async def test_openais_api_is_asked_for_words_on_request(query, asked):
    fields = {}

    async def handle(request):
        form = await request.post()
        fields.update({name: value for name, value in form.items() if name != "file"})
        return web.json_response({"text": "Hello"})

    application = web.Application()
    application.router.add_post("/v1/audio/transcriptions", handle)
    http = Http(Guard(allow=LOOPBACK, require_tls=False))
    async with TestServer(application) as server:
        url = str(server.make_url("/v1/audio/transcriptions")) + query
        at = Endpoint(http.of(LineName("main")), "stt", url, "", 5.0)
        found = await HttpRecognizer(at, Agent()).recognize(PCM)
        await http.aclose()
    assert found.text == "Hello"
    assert fields == asked
