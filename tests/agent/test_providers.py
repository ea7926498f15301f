"""Providers over HTTP, against a local server."""

import asyncio
import ipaddress
import json
import struct
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.agent.providers import (
    Message,
    Patience,
    ProviderFailed,
    http_providers,
    to_call_sound,
)
from bridge.audio.wav import parse_wav
from bridge.errors import RemoteProtocolError
from bridge.net.guard import Guard
from bridge.net.http import Http
from tests.support.provider_double import providing, tone_wav

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
SOUND = bytes(6400)
TALK = [Message("assistant", "Hello."), Message("user", "What time is it?")]


@asynccontextmanager
async def asking(*, allow=LOOPBACK, seconds=5.0):
    http = Http(Guard(allow=allow, require_tls=False))
    async with providing() as double:
        urls = (f"{double.root}/stt", f"{double.root}/llm", f"{double.root}/tts")
        patience = Patience(seconds, seconds, seconds)
        try:
            yield http_providers(http, urls, "s3cret", patience), double
        finally:
            await http.aclose()


@asynccontextmanager
async def openai(handle, *paths, seconds=5.0):
    http = Http(Guard(allow=LOOPBACK, require_tls=False))
    application = web.Application()
    application.router.add_post("/v1/{rest:.*}", handle)
    server = TestServer(application)
    await server.start_server()
    stt, llm, tts = (str(server.make_url(f"/v1{path}")) for path in paths)
    try:
        yield http_providers(http, (stt, llm, tts), "k", Patience(seconds, seconds, seconds))
    finally:
        await http.aclose()
        await server.close()


PATHS = ("/audio/transcriptions?model=large", "/chat/completions", "/audio/speech?voice=nova")


async def whole(reply):
    return [piece async for piece in reply]


async def ask(providers, step):
    match step:
        case "stt":
            return await providers.stt.transcribe(SOUND)
        case "llm":
            return await whole(providers.llm.reply("Be brief.", TALK))
        case _:
            return await providers.tts.speak("Good day.")


async def test_speech_is_posted_as_a_wav_file_with_the_token():
    async with asking() as (providers, double):
        assert await ask(providers, "stt") == "I would like a table."
        [(_, posted)] = double.asked
        assert parse_wav(posted).pcm == SOUND
        assert double.tokens == ["Bearer s3cret"]


async def test_the_whole_talk_is_posted_for_a_reply():
    async with asking() as (providers, double):
        assert await ask(providers, "llm") == ["For how many? We are open until ten."]
        messages = [
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "What time is it?"},
        ]
        assert double.asked == [("llm", {"system": "Be brief.", "messages": messages})]


async def test_a_text_is_posted_to_be_spoken():
    async with asking() as (providers, double):
        assert await ask(providers, "tts") == parse_wav(tone_wav()).pcm
        assert double.asked == [("tts", {"text": "Good day."})]


@pytest.mark.parametrize("step", ["stt", "llm", "tts"])
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (500, "status"),
        (302, "status"),
        ({"error": "no"}, "garbage"),
        (b"<html>", "garbage"),
        (b"", "garbage"),
        (bytes(17 * 1024 * 1024), "too_large"),
    ],
)
async def test_every_bad_answer_is_one_error(step, answer, reason):
    async with asking() as (providers, double):
        double.answers[step] = answer
        with pytest.raises(ProviderFailed) as caught:
            await ask(providers, step)
        assert (caught.value.step, caught.value.reason) == (step, reason)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("step", ["stt", "llm", "tts"])
async def test_who_does_not_answer_is_given_up(step):
    async with asking(seconds=0.05) as (providers, double):
        double.answers[step] = "hang"
        with pytest.raises(ProviderFailed) as caught:
            await ask(providers, step)
        assert caught.value.reason == "timeout"


@pytest.mark.parametrize("step", ["stt", "llm", "tts"])
async def test_a_blocked_address_is_not_asked(step):
    async with asking(allow=[]) as (providers, double):
        with pytest.raises(ProviderFailed) as caught:
            await ask(providers, step)
        assert caught.value.reason == "blocked"
        assert double.asked == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [("", "missing"), ("http://127.0.0.1:1/x", "unreachable"), ("http://[x", "unreachable")],
)
async def test_a_url_that_leads_nowhere_is_the_same_error(url, reason):
    http = Http(Guard(allow=LOOPBACK, require_tls=False))
    providers = http_providers(http, (url, url, url), "")
    for step in ("stt", "llm", "tts"):
        with pytest.raises(ProviderFailed) as caught:
            await ask(providers, step)
        assert caught.value.reason == reason
    await http.aclose()


async def test_a_reply_that_drips_is_given_up_at_the_limit_of_the_whole():
    async def drip(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        with suppress(ConnectionError):
            while True:
                await answer.write(b": \n")
                await asyncio.sleep(0.01)
        return answer

    async with openai(drip, *PATHS, seconds=0.2) as providers:
        with pytest.raises(ProviderFailed) as caught:
            await whole(providers.llm.reply("", TALK))
        assert caught.value.reason == "timeout"


async def test_a_reply_without_an_end_is_given_up():
    async def drip(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        with suppress(ConnectionError):
            while True:
                await answer.write(b": \n" * 10_000)
        return answer

    async with openai(drip, *PATHS) as providers:
        with pytest.raises(ProviderFailed) as caught:
            await whole(providers.llm.reply("", TALK))
        assert caught.value.reason == "too_large"


# OpenAI's forms


async def test_openai_is_sent_a_form_with_the_model_of_the_query():
    async def hear(request):
        form = await request.post()
        assert parse_wav(form["file"].file.read()).pcm == SOUND
        return web.json_response({"text": f" by {form['model']} "})

    async with openai(hear, *PATHS) as providers:
        assert await ask(providers, "stt") == "by large"


async def test_openai_replies_are_given_as_they_stream():
    async def think(request):
        asked = await request.json()
        assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
        pieces = [{"choices": [{"delta": {"content": text}}]} for text in ("It is ", "ten.")]
        last: dict[str, Any] = {"choices": [{"delta": {}}]}
        lines = [f"data: {json.dumps(piece)}\n\n" for piece in (*pieces, last)]
        return web.Response(text="".join(lines) + "data: [DONE]\n\n")

    async with openai(think, *PATHS) as providers:
        assert await ask(providers, "llm") == ["It is ", "ten."]


async def test_who_does_not_stream_is_understood_too():
    async def think(_):
        return web.json_response({"choices": [{"message": {"content": "It is ten."}}]})

    async with openai(think, *PATHS) as providers:
        assert await ask(providers, "llm") == ["It is ten."]


@pytest.mark.parametrize("line", ["data: {", "data: 3", 'data: {"choices": 3}', "data: [3]"])
async def test_a_broken_stream_is_an_error(line):
    async def think(_):
        return web.Response(text=line + "\n\n")

    async with openai(think, *PATHS) as providers:
        with pytest.raises(ProviderFailed, match="stream"):
            await ask(providers, "llm")


async def test_openai_is_asked_for_wav_in_the_voice_of_the_query():
    async def speak(request):
        asked = await request.json()
        assert (asked["voice"], asked["response_format"]) == ("nova", "wav")
        assert asked["input"] == "Good day."
        return web.Response(body=tone_wav(0.1))

    async with openai(speak, *PATHS) as providers:
        assert len(await ask(providers, "tts")) == 3200


# Sound


def wav(rate, channels, seconds=1.0):
    count = round(rate * seconds)
    sound = (6000 * np.sin(2 * np.pi * 400 * np.arange(count) / rate)).astype("<i2")
    pcm = np.repeat(sound, channels).tobytes()
    block = 2 * channels
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * block, block, 16)
    chunks = b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(pcm)) + pcm
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100, 48000, 22051])
@pytest.mark.parametrize("channels", [1, 2])
async def test_a_wav_file_of_any_rate_keeps_its_pitch_length_and_loudness(rate, channels):
    made = np.frombuffer(await to_call_sound(wav(rate, channels)), "<i2")
    assert abs(len(made) - 16000) <= 160
    assert abs(np.argmax(np.abs(np.fft.rfft(made[:16000], 16000))) - 400) <= 1
    assert abs(made[2000:14000].astype(float).std() - 6000 / np.sqrt(2)) < 60


async def test_raw_samples_are_taken_as_they_are():
    assert await to_call_sound(b"\x01\x02" * 50) == b"\x01\x02" * 50


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"abc",
        b'{"error": 1}',
        b"<html></html>!",
        b"RIFF",
        wav(8000, 1, 0.0),
        wav(8000, 1, 121),
    ],
)
async def test_what_is_no_sound_is_refused(data):
    with pytest.raises(RemoteProtocolError):
        await to_call_sound(data)
