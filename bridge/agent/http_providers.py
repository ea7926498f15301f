"""Providers over HTTP, each at a customer's URL.

ZuckZapGo's contracts: STT is `POST` of a WAV file, response `{"text"}`; LLM is `POST {"system",
"messages"}`, response `{"reply"}`; TTS is `POST {"text"}`, response WAV of any rate or raw 16 kHz
samples. URLs that end like OpenAI's use OpenAI's API; `model` and `voice` may be in the query.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final

import aiohttp

from bridge.agent.audio_converter import to_call_audio
from bridge.agent.endpoint import Endpoint
from bridge.agent.providers import Message, Models, ProviderLimits, Providers
from bridge.agent.sentences import clean
from bridge.audio.wav import make_header
from bridge.errors import RemoteProtocolError
from bridge.net.http import LineHttp

MAX_TRANSCRIPT_CHARACTERS: Final = 10_000
MAX_REPLY_CHARACTERS: Final = 20_000
"""Longer texts are cut, since they go into events and further requests."""


def http_providers(
    http: LineHttp,
    urls: tuple[str, str, str],
    token: str,
    *,
    limits: ProviderLimits | None = None,
    models: Models | None = None,
) -> Providers:
    """Return the providers at a line's three URLs: STT, LLM and TTS."""
    limits, models = limits or ProviderLimits(), models or Models()
    stt, llm, tts = urls
    return Providers(
        _SpeechToText(Endpoint(http, "stt", stt, token, limits.stt_seconds), limits, models),
        _LanguageModel(Endpoint(http, "llm", llm, token, limits.llm_seconds), limits, models),
        _TextToSpeech(Endpoint(http, "tts", tts, token, limits.tts_seconds), limits, models),
    )


class _SpeechToText:
    """STT over HTTP."""

    def __init__(self, endpoint: Endpoint, limits: ProviderLimits, models: Models) -> None:
        self._endpoint, self._limits, self._models = endpoint, limits, models

    async def transcribe(self, pcm: bytes) -> str:
        """Post a WAV file."""
        at, wav = self._endpoint, make_header(len(pcm)) + pcm
        if at.is_openai("/audio/transcriptions"):
            form = aiohttp.FormData()
            form.add_field("model", at.query_value("model", self._models.stt))
            form.add_field("response_format", "json")
            form.add_field("file", wav, filename="speech.wav", content_type="audio/wav")
            body = await at.post(self._limits.text_bytes, data=form)
        else:
            wanted = {"Content-Type": "audio/wav", "Accept": "application/json"}
            body = await at.post(self._limits.text_bytes, data=wav, headers=wanted)
        return clean(at.member(body, "text")[:MAX_TRANSCRIPT_CHARACTERS]).strip()


class _LanguageModel:
    """An LLM over HTTP."""

    def __init__(self, endpoint: Endpoint, limits: ProviderLimits, models: Models) -> None:
        self._endpoint, self._limits, self._models = endpoint, limits, models

    async def reply(self, system: str, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """Post the conversation."""
        half, left = "", MAX_REPLY_CHARACTERS
        async with aclosing(self._request(system, messages)) as texts:
            async for text in texts:
                whole = half + text[:left]
                # A stream may split a surrogate pair.
                half = whole[-1] if "\ud800" <= whole[-1:] <= "\udbff" else ""
                yield clean(whole.removesuffix(half))
                if (left := left - len(text)) <= 0:
                    return

    async def _request(self, system: str, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        at = self._endpoint
        messages_json = [{"role": message.role, "content": message.content} for message in messages]
        if not at.is_openai("/chat/completions"):
            body = {"system": system, "messages": messages_json}
            yield at.member(await at.post(self._limits.text_bytes, json=body), "reply")
            return
        if system:
            messages_json.insert(0, {"role": "system", "content": system})
        model = at.query_value("model", self._models.llm)
        question = {"model": model, "messages": messages_json, "stream": True}
        async with aclosing(self._streamed(question)) as texts:
            async for text in texts:
                yield text

    async def _streamed(self, question: dict[str, Any]) -> AsyncGenerator[str, None]:
        """Read server-sent events, or the whole response of a server that does not stream."""
        at, rest, streams = self._endpoint, b"", False
        async with aclosing(at.stream(self._limits.text_bytes, json=question)) as pieces:
            async for piece in pieces:
                rest += piece
                streams = streams or rest.lstrip().startswith((b"data:", b":", b"event:"))
                *lines, rest = rest.split(b"\n") if streams else [rest]
                for line in map(bytes.strip, lines):
                    if line.removeprefix(b"data:").strip() == b"[DONE]":
                        return
                    if text := self._delta(line):
                        yield text
        if not streams:
            yield at.member(rest, "choices", 0, "message", "content")
        elif text := self._delta(rest.strip()):
            yield text

    def _delta(self, line: bytes) -> str:
        data = line.removeprefix(b"data:").strip()
        if not line.startswith(b"data:") or data == b"[DONE]":
            return ""
        try:
            choices = json.loads(data)["choices"]
            content = choices[0]["delta"].get("content") if choices else ""
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise self._endpoint.failed("garbage", "the stream is malformed") from None
        return content if isinstance(content, str) else ""


class _TextToSpeech:
    """TTS over HTTP."""

    def __init__(self, endpoint: Endpoint, limits: ProviderLimits, models: Models) -> None:
        self._endpoint, self._limits, self._models = endpoint, limits, models

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """Post text."""
        at, limits = self._endpoint, self._limits
        body = {"text": text}
        if at.is_openai("/audio/speech"):
            body = {
                "model": at.query_value("model", self._models.tts),
                "voice": at.query_value("voice", self._models.voice),
                "input": text,
                "response_format": "wav",
            }
        wanted = {"Accept": "audio/wav"}
        try:
            async with (
                aclosing(at.stream(limits.sound_bytes, json=body, headers=wanted)) as pieces,
                aclosing(to_call_audio(pieces, max_seconds=limits.spoken_seconds)) as sound,
            ):
                async for pcm in sound:
                    yield pcm
        except RemoteProtocolError as error:
            raise at.failed("garbage", str(error)) from None
