"""Providers over HTTP, each at a customer's URL.

Three plain contracts (ZuckZapGo): sound to text is `POST` of a WAV file, answered `{"text"}`; text
to reply `POST {"system", "messages"}`, answered `{"reply"}`; text to sound `POST {"text"}`, answered
with a WAV file of any rate or raw 16 kHz samples. A URL whose path ends as those of OpenAI do is
spoken to as it is there; its query may name the `model` and the `voice`.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final

import aiohttp

from bridge.agent.audio_converter import call_sound
from bridge.agent.endpoint import Endpoint
from bridge.agent.providers import Message, Models, ProviderLimits, Providers
from bridge.agent.sentences import clean
from bridge.audio.wav import make_header
from bridge.errors import RemoteProtocolError
from bridge.net.http import LineHttp

MAX_HEARD_LETTERS: Final = 10_000
MAX_REPLY_LETTERS: Final = 20_000
"""Of what is heard and replied so much counts: it goes into events, and is asked and said again."""


def http_providers(
    http: LineHttp,
    urls: tuple[str, str, str],
    token: str,
    *,
    limits: ProviderLimits | None = None,
    models: Models | None = None,
) -> Providers:
    """Give the providers at a line's three URLs, STT, LLM and TTS, each asked with the token."""
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
            form.add_field("model", at.named("model", self._models.stt))
            form.add_field("response_format", "json")
            form.add_field("file", wav, filename="speech.wav", content_type="audio/wav")
            body = await at.whole(self._limits.text_bytes, data=form)
        else:
            wanted = {"Content-Type": "audio/wav", "Accept": "application/json"}
            body = await at.whole(self._limits.text_bytes, data=wav, headers=wanted)
        return clean(at.member(body, "text")[:MAX_HEARD_LETTERS]).strip()


class _LanguageModel:
    """An LLM over HTTP."""

    def __init__(self, endpoint: Endpoint, limits: ProviderLimits, models: Models) -> None:
        self._endpoint, self._limits, self._models = endpoint, limits, models

    async def reply(self, system: str, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """Post the talk so far."""
        half, left = "", MAX_REPLY_LETTERS
        async with aclosing(self._asked(system, messages)) as texts:
            async for text in texts:
                whole = half + text[:left]
                # Of a letter that is written as two, a stream may give one at a time.
                half = whole[-1] if "\ud800" <= whole[-1:] <= "\udbff" else ""
                yield clean(whole.removesuffix(half))
                if (left := left - len(text)) <= 0:
                    return

    async def _asked(self, system: str, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        at = self._endpoint
        told = [{"role": message.role, "content": message.content} for message in messages]
        if not at.is_openai("/chat/completions"):
            asked = {"system": system, "messages": told}
            yield at.member(await at.whole(self._limits.text_bytes, json=asked), "reply")
            return
        if system:
            told.insert(0, {"role": "system", "content": system})
        model = at.named("model", self._models.llm)
        question = {"model": model, "messages": told, "stream": True}
        async with aclosing(self._streamed(question)) as texts:
            async for text in texts:
                yield text

    async def _streamed(self, question: dict[str, Any]) -> AsyncGenerator[str, None]:
        """Read server-sent events, or a whole answer of who does not stream."""
        at, rest, streams = self._endpoint, b"", False
        async with aclosing(at.pieces(self._limits.text_bytes, json=question)) as pieces:
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
            raise self._endpoint.failed("garbage", "its stream cannot be read") from None
        return content if isinstance(content, str) else ""


class _TextToSpeech:
    """TTS over HTTP."""

    def __init__(self, endpoint: Endpoint, limits: ProviderLimits, models: Models) -> None:
        self._endpoint, self._limits, self._models = endpoint, limits, models

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """Post a text."""
        at, limits = self._endpoint, self._limits
        asked = {"text": text}
        if at.is_openai("/audio/speech"):
            asked = {
                "model": at.named("model", self._models.tts),
                "voice": at.named("voice", self._models.voice),
                "input": text,
                "response_format": "wav",
            }
        wanted = {"Accept": "audio/wav"}
        try:
            async with (
                aclosing(at.pieces(limits.sound_bytes, json=asked, headers=wanted)) as pieces,
                aclosing(call_sound(pieces, most_seconds=limits.spoken_seconds)) as sound,
            ):
                async for pcm in sound:
                    yield pcm
        except RemoteProtocolError as error:
            raise at.failed("garbage", str(error)) from None
