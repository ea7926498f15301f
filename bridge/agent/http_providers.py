"""Providers over HTTP, each at a customer's URL.

ZuckZapGo's contracts: STT is `POST` of a WAV file, response `{"text"}`; LLM is `POST {"system", "messages"}`, response
`{"reply"}`; TTS is `POST {"text"}`, response WAV of any rate or raw 16 kHz samples. Our additions to the response of STT
are `words`, each `{"word", "start", "end"}` in seconds, and `language`. URLs that end like OpenAI's use OpenAI's API;
`model` and `voice` may be in the query; with `words=true` STT is asked for the times of words, which not every model has.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from bridge.agent.audio_converter import to_call_audio
from bridge.agent.provider_client import NO_CALL, Endpoint, Traced
from bridge.agent.providers import Message, Providers, Recognized
from bridge.agent.sentences import clean
from bridge.audio.file.wav import make_header
from bridge.call.transcript import Word
from bridge.errors import RemoteProtocolError
from bridge.http.client import LineHttp
from bridge.settings.agent import Agent

MAX_TRANSCRIPT_CHARACTERS: Final = 10_000
MAX_WORDS: Final = 2_000
MAX_REPLY_CHARACTERS: Final = 20_000
"""Longer texts are cut, since they go into events and further requests."""
MAX_WORD: Final = 100
MAX_LANGUAGE: Final = 35
"""Characters of a language tag (RFC 5646 §4.4.1)."""


def http_providers(
    http: LineHttp,
    urls: tuple[str, str, str],
    token: str,
    settings: Agent,
    traced: Traced = NO_CALL,
) -> Providers:
    """Return the providers at a line's three URLs: STT, LLM and TTS."""
    stt, llm, tts = urls
    made = _HttpProviders(
        Endpoint(http, "llm", llm, token, settings.llm_seconds, settings.llm_model, traced),
        Endpoint(http, "tts", tts, token, settings.tts_seconds, settings.tts_model, traced),
        settings,
    )
    hears = Endpoint(http, "stt", stt, token, settings.stt_seconds, settings.stt_model, traced)
    return Providers(HttpRecognizer(hears, settings), made, made)


@dataclass(frozen=True, slots=True)
class HttpRecognizer:
    """The speech recognition of a line; implements `providers.Recognizer`."""

    at: Endpoint
    settings: Agent

    async def recognize(self, pcm: bytes) -> Recognized:
        """Post a WAV file."""
        at, wav = self.at, make_header(len(pcm)) + pcm
        if at.is_openai:
            body = await at.post(self.settings.text_bytes, data=self._form(wav))
        else:
            wanted = {"Content-Type": "audio/wav", "Accept": "application/json"}
            body = await at.post(self.settings.text_bytes, data=wav, headers=wanted)
        text = clean(at.member(body, "text")[:MAX_TRANSCRIPT_CHARACTERS]).strip()
        fields = json.loads(body)
        language = fields.get("language")
        return Recognized(
            text,
            _words(fields.get("words")),
            clean(language[:MAX_LANGUAGE]) if isinstance(language, str) else "",
        )

    def _form(self, wav: bytes) -> aiohttp.FormData:
        form = aiohttp.FormData()
        form.add_field("model", self.at.query_value("model", self.settings.stt_model))
        if self.at.query_value("words", "") == "true":
            form.add_field("response_format", "verbose_json")
            form.add_field("timestamp_granularities[]", "word")
        else:
            form.add_field("response_format", "json")
        form.add_field("file", wav, filename="speech.wav", content_type="audio/wav")
        return form


@dataclass(frozen=True, slots=True)
class _HttpProviders:
    """LLM and TTS over HTTP."""

    llm: Endpoint
    tts: Endpoint
    settings: Agent

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
        if not at.is_openai:
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
        if at.is_openai:
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


def _words(sent: Any) -> tuple[Word, ...]:  # noqa: ANN401 - whatever the provider sends
    """Return the words of a response; none where one of them is malformed."""
    if not isinstance(sent, list):
        return ()
    found = []
    for each in sent[:MAX_WORDS]:
        try:
            text, start, end = each["word"], float(each["start"]), float(each["end"])
        except (TypeError, KeyError, ValueError):
            return ()
        if not isinstance(text, str) or not 0 <= start <= end < 1e6:
            return ()
        found.append(Word(clean(text[:MAX_WORD]).strip(), start, end))
    return tuple(found)
