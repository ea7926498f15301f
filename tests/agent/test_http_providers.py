"""Providers over HTTP, against a local server."""

import asyncio
import ipaddress
import json
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.agent.http_providers import (
    MAX_REPLY_CHARACTERS,
    MAX_TRANSCRIPT_CHARACTERS,
    http_providers,
)
from bridge.agent.providers import Message, ProviderFailed
from bridge.audio.file.wav import parse_wav
from bridge.call.model import LineName
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.settings.agent import Agent
from tests.support.servers.provider_double import providing, tone_wav

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
SOUND = bytes(6400)
TALK = [Message("assistant", "Hello."), Message("user", "What time is it?")]


def settings(seconds, max_bytes=1 << 24, **models):
    return Agent(
        stt_seconds=seconds,
        llm_seconds=seconds,
        tts_seconds=seconds,
        text_bytes=max_bytes,
        sound_bytes=max_bytes,
        **models,
    )


@asynccontextmanager
async def asking(*, allow=LOOPBACK, seconds=5.0, most=1 << 24):
    http = Http(Guard(allow=allow, require_tls=False))
    async with providing() as double:
        urls = (f"{double.root}/stt", f"{double.root}/llm", f"{double.root}/tts")
        try:
            yield (
                http_providers(http.of(LineName("main")), urls, "s3cret", settings(seconds, most)),
                double,
            )
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
    chosen = settings(seconds, stt_model="ears", llm_model="mind", tts_model="mouth", voice="onyx")
    try:
        yield http_providers(http.of(LineName("main")), (stt, llm, tts), "k", chosen)
    finally:
        await http.aclose()
        await server.close()


PATHS = ("/audio/transcriptions?model=large", "/chat/completions", "/audio/speech?voice=nova")


async def whole(reply):
    return [piece async for piece in reply]


async def ask(providers, step):
    match step:
        case "stt":
            return (await providers.stt.recognize(SOUND)).text
        case "llm":
            return await whole(providers.llm.reply("Be brief.", TALK))
        case _:
            return b"".join(await whole(providers.tts.speak("Good day.")))


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
async def test_an_answer_that_is_too_much_is_the_same_error(step):
    async with asking(most=100_000) as (providers, double):
        double.answers[step] = b"\x01\x82" * 60_000
        with pytest.raises(ProviderFailed) as caught:
            await ask(providers, step)
        assert (caught.value.step, caught.value.reason) == (step, "too_large")


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
    providers = http_providers(http.of(LineName("main")), (url, url, url), "", Agent())
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


async def test_without_a_query_the_settings_name_models_and_voice():
    asked = []

    async def answer(request):
        if request.path.endswith("transcriptions"):
            asked.append((await request.post())["model"])
            return web.json_response({"text": "yes"})
        body = await request.json()
        asked.append((body["model"], body.get("voice")))
        if request.path.endswith("speech"):
            return web.Response(body=tone_wav(0.1))
        return web.json_response({"choices": [{"message": {"content": "Yes."}}]})

    paths = ("/audio/transcriptions", "/chat/completions", "/audio/speech")
    async with openai(answer, *paths) as providers:
        for step in ("stt", "llm", "tts"):
            await ask(providers, step)
    assert asked == ["ears", ("mind", None), ("mouth", "onyx")]


async def test_a_stream_is_over_with_its_last_event_though_the_connection_stays():
    let_go = asyncio.Event()

    async def think(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(
            b'data: {"choices": [{"delta": {"content": "Yes."}}]}\n\ndata: [DONE]\n\n'
        )
        await let_go.wait()
        return answer

    async with openai(think, *PATHS) as providers:
        assert await ask(providers, "llm") == ["Yes."]
        let_go.set()


@pytest.mark.parametrize("chunked", ["wav", "raw"])
async def test_speech_is_given_while_it_comes(chunked):
    first_is_here = asyncio.Event()
    whole_file = tone_wav(1.0)
    body = whole_file if chunked == "wav" else whole_file[44:]

    async def speak(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(body[:8000])
        async with asyncio.timeout(5):
            await first_is_here.wait()
        await answer.write(body[8000:])
        return answer

    async with openai(speak, *PATHS) as providers:
        sound = b""
        async for pcm in providers.tts.speak("Good day."):
            sound += pcm
            first_is_here.set()
    assert sound == whole_file[44:]


async def test_speech_that_breaks_off_gives_what_came_and_then_the_error():
    async def speak(request):
        answer = web.StreamResponse(headers={"Content-Length": "90000"})
        await answer.prepare(request)
        await answer.write(tone_wav(1.0)[:20000])
        assert request.transport is not None
        request.transport.close()
        return answer

    came = 0

    async def take(sound):
        nonlocal came
        async for pcm in sound:
            came += len(pcm)

    async with openai(speak, *PATHS) as providers:
        with pytest.raises(ProviderFailed) as caught:
            await take(providers.tts.speak("Good day."))
    assert caught.value.reason == "unreachable"
    assert came > 10000


async def test_speech_that_drips_is_given_up_at_the_limit_of_the_whole():
    async def drip(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        with suppress(ConnectionError):
            while True:
                await answer.write(bytes(2))
                await asyncio.sleep(0.01)
        return answer

    async with openai(drip, *PATHS, seconds=0.2) as providers:
        with pytest.raises(ProviderFailed) as caught:
            await whole(providers.tts.speak("Good day."))
    assert caught.value.reason == "timeout"


async def test_a_redirect_to_a_private_address_is_not_followed():
    async with asking() as (providers, double):
        for step in ("stt", "llm", "tts"):
            double.answers[step] = web.HTTPTemporaryRedirect("http://10.0.0.1/admin")
            with pytest.raises(ProviderFailed) as caught:
                await ask(providers, step)
            assert caught.value.reason == "status"


async def test_what_cannot_be_written_is_replaced():
    async with asking() as (providers, double):
        double.answers["stt"] = {"text": "one \ud83d two\x00three \U0001f600 \x1b[31m"}
        double.answers["llm"] = {"reply": "four \udc00 five\x07 \u00e9"}
        assert await ask(providers, "stt") == "one \ufffd two three \U0001f600  [31m"
        assert await ask(providers, "llm") == ["four \ufffd five  \u00e9"]


async def test_letters_that_a_stream_cuts_in_two_are_whole_again():
    async def think(_):
        pieces = [r"A \ud83d", r"\ude00 b", r"\ud83d"]
        lines = [
            f'data: {{"choices": [{{"delta": {{"content": "{text}"}}}}]}}\n\n' for text in pieces
        ]
        return web.Response(text="".join(lines))

    async with openai(think, *PATHS) as providers:
        assert "".join(await ask(providers, "llm")) == "A \U0001f600 b"


async def test_of_endless_texts_the_beginning_counts():
    async with asking() as (providers, double):
        double.answers["stt"] = {"text": "word " * 100_000}
        double.answers["llm"] = {"reply": "word " * 100_000}
        assert len(await ask(providers, "stt")) <= MAX_TRANSCRIPT_CHARACTERS
        assert len("".join(await ask(providers, "llm"))) <= MAX_REPLY_CHARACTERS
