"""Providers over HTTP, each at a customer's URL.

ZuckZapGo's contracts: STT is as in `http_recognizer`; LLM is `POST {"system", "messages"}`, response
`{"reply"}`; TTS is `POST {"text"}`, response WAV of any rate or raw 16 kHz samples. URLs that end like OpenAI's use OpenAI's API; `model` and `voice` may be in the query.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from bridge.agent.audio_converter import to_call_audio
from bridge.agent.http_recognizer import HttpRecognizer
from bridge.agent.provider_client import Endpoint
from bridge.agent.providers import Message, Providers
from bridge.agent.sentences import clean
from bridge.errors import RemoteProtocolError
from bridge.http.client import LineHttp
from bridge.settings.line import Agent

MAX_REPLY_CHARACTERS: Final = 20_000
"""A longer reply is cut, since it goes into events and further requests."""


def http_providers(
    http: LineHttp, urls: tuple[str, str, str], token: str, settings: Agent
) -> Providers:
    """Return the providers at a line's three URLs: STT, LLM and TTS."""
    stt, llm, tts = urls
    made = _HttpProviders(
        Endpoint(http, "stt", stt, token, settings.stt_seconds),
        Endpoint(http, "llm", llm, token, settings.llm_seconds),
        Endpoint(http, "tts", tts, token, settings.tts_seconds),
        settings,
    )
    return Providers(made, made, made)


@dataclass(frozen=True, slots=True)
class _HttpProviders:
    """STT, LLM and TTS over HTTP."""

    stt: Endpoint
    llm: Endpoint
    tts: Endpoint
    settings: Agent

    async def transcribe(self, pcm: bytes) -> str:
        """Post a WAV file."""
        return (await HttpRecognizer(self.stt, self.settings).recognize(pcm)).text

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
        at = self.llm
        messages_json = [{"role": message.role, "content": message.content} for message in messages]
        if not at.is_openai("/chat/completions"):
            body = {"system": system, "messages": messages_json}
            yield at.member(await at.post(self.settings.text_bytes, json=body), "reply")
            return
        if system:
            messages_json.insert(0, {"role": "system", "content": system})
        model = at.query_value("model", self.settings.llm_model)
        question = {"model": model, "messages": messages_json, "stream": True}
        async with aclosing(self._streamed(question)) as texts:
            async for text in texts:
                yield text

    async def _streamed(self, question: dict[str, Any]) -> AsyncGenerator[str, None]:
        """Read server-sent events, or the whole response of a server that does not stream."""
        at, rest, streams = self.llm, b"", False
        async with aclosing(at.stream(self.settings.text_bytes, json=question)) as pieces:
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
            raise self.llm.failed("garbage", "the stream is malformed") from None
        return content if isinstance(content, str) else ""

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """Post text."""
        at = self.tts
        body = {"text": text}
        if at.is_openai("/audio/speech"):
            body = {
                "model": at.query_value("model", self.settings.tts_model),
                "voice": at.query_value("voice", self.settings.voice),
                "input": text,
                "response_format": "wav",
            }
        wanted = {"Accept": "audio/wav"}
        try:
            async with (
                aclosing(at.stream(self.settings.sound_bytes, json=body, headers=wanted)) as pieces,
                aclosing(to_call_audio(pieces, max_seconds=self.settings.spoken_seconds)) as sound,
            ):
                async for pcm in sound:
                    yield pcm
        except RemoteProtocolError as error:
            raise at.failed("garbage", str(error)) from None
