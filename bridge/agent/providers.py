"""Who hears, thinks and speaks for an agent: providers over HTTP, each at a customer's URL.

Three plain contracts (ZuckZapGo): sound to text is `POST` of a WAV file, answered `{"text"}`; text
to reply `POST {"system", "messages"}`, answered `{"reply"}`; text to sound `POST {"text"}`, answered
with a WAV file of any rate or raw 16 kHz samples. A URL whose path ends as those of OpenAI do is
spoken to as it is there; its query may name the `model` and the `voice`.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import aiohttp
import numpy as np
from aiohttp import ClientResponse
from yarl import URL

from bridge.audio.frame import SAMPLE_RATE
from bridge.audio.resample import Resampler
from bridge.audio.wav import Wav, header, parse_wav
from bridge.errors import AddressBlocked, BridgeError, LegError, RemoteProtocolError
from bridge.net.http import CONNECT_SECONDS, Http

MOST_TEXT_BYTES: Final = 1024 * 1024
MOST_SOUND_BYTES: Final = 16 * 1024 * 1024
MOST_SPOKEN_SECONDS: Final = 120.0
PIECE_SECONDS: Final = 0.25
"""So much sound is converted at once; other calls go on in between."""
RATE_STEP: Final = 50
"""Hertz to which other rates are rounded; nobody hears the difference."""
NO_LIMIT: Final = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
"""Each request keeps its own time."""
REASONS: Final = ("missing", "blocked", "unreachable", "timeout", "status", "garbage", "too_large")
"""Why a step failed: the reasons of `ProviderFailed`."""


class ProviderFailed(LegError):
    """A provider did not do its step (`stt`, `llm`, `tts`); `reason` is one of `REASONS`."""

    code = "provider_failed"

    def __init__(self, message: str, *, step: str, reason: str) -> None:
        super().__init__(message)
        self.step = step
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a talk, as language models are told it."""

    role: str
    """`user` or `assistant`."""
    content: str


class Hearing(Protocol):
    """Makes text of speech."""

    async def transcribe(self, pcm: bytes) -> str:
        """Give what is said in 16 kHz samples; empty when it is nothing.

        Raises:
            ProviderFailed: it could not be made out.
        """
        ...


class Thinking(Protocol):
    """Makes replies."""

    def reply(self, system: str, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """Give the reply, in pieces as it comes.

        Raises:
            ProviderFailed: there is none, or no end of it.
        """
        ...


class Speaking(Protocol):
    """Makes speech of text."""

    async def speak(self, text: str) -> bytes:
        """Give a text as 16 kHz samples.

        Raises:
            ProviderFailed: it could not be spoken.
        """
        ...


@dataclass(frozen=True, slots=True)
class Providers:
    """All that an agent needs."""

    stt: Hearing
    llm: Thinking
    tts: Speaking


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each step may take, in seconds."""

    stt: float = 15.0
    llm: float = 30.0
    tts: float = 20.0


def http_providers(
    http: Http, urls: tuple[str, str, str], token: str, patience: Patience | None = None
) -> Providers:
    """Give the providers at a line's three URLs, STT, LLM and TTS, each asked with the token."""
    limits = patience or Patience()
    stt, llm, tts = urls
    return Providers(
        _Hearing(_Endpoint(http, "stt", stt, token, limits.stt)),
        _Thinking(_Endpoint(http, "llm", llm, token, limits.llm)),
        _Speaking(_Endpoint(http, "tts", tts, token, limits.tts)),
    )


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """One URL, and how it is asked; every way to fail becomes a `ProviderFailed`."""

    http: Http
    step: str
    url: str
    token: str
    seconds: float

    def is_openai(self, ending: str) -> bool:
        return self._parsed().path.rstrip("/").endswith(ending)

    def named(self, what: str, default: str) -> str:
        return self._parsed().query.get(what, default)

    def _parsed(self) -> URL:
        try:
            return URL(self.url)
        except ValueError:
            return URL()  # asking it will fail

    async def whole(self, most: int, **request: Any) -> bytes:  # noqa: ANN401 - aiohttp's own
        """Post, and give the whole answer."""
        taken = bytearray()
        async with aclosing(self.pieces(most, **request)) as pieces:
            async for piece in pieces:
                taken += piece
        return bytes(taken)

    async def pieces(self, most: int, **request: Any) -> AsyncGenerator[bytes, None]:  # noqa: ANN401
        """Post, and give the answer as it comes."""
        if not self.url:
            raise self.failed("missing", "no URL is set for it")
        size, left = 0, _Left(self.seconds)
        try:
            async with AsyncExitStack() as stack:
                async with left.running():
                    answer = await stack.enter_async_context(self._post(request))
                if not 200 <= answer.status < 300:
                    raise self.failed("status", f"it answers {answer.status}")
                while True:
                    async with left.running():
                        piece = await answer.content.readany()
                    if not piece:
                        return
                    size += len(piece)
                    if size > most:
                        raise self.failed("too_large", "it answers with too much")
                    yield piece
        except TimeoutError:
            raise self.failed("timeout", "it took too long") from None
        except AddressBlocked as error:
            raise self.failed("blocked", str(error)) from None
        except (aiohttp.InvalidURL, aiohttp.ClientError, OSError, ValueError):
            raise self.failed("unreachable", "it cannot be reached") from None

    def failed(self, reason: str, message: str) -> ProviderFailed:
        return ProviderFailed(f"{self.step}: {message}", step=self.step, reason=reason)

    def _post(self, request: dict[str, Any]) -> AbstractAsyncContextManager[ClientResponse]:
        headers = dict(request.pop("headers", {}))
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return self.http.guarded().post(
            self.url, headers=headers, allow_redirects=False, timeout=NO_LIMIT, **request
        )

    def member(self, body: bytes, *path: str | int) -> str:
        """Give a text inside a JSON answer."""
        try:
            found = json.loads(body)
            for name in path:
                found = found[name]
        except (ValueError, LookupError, TypeError, RecursionError):
            found = None
        if not isinstance(found, str):
            raise self.failed("garbage", f"its answer has no {path[-1]}")
        return found


class _Left:
    """What is left of the time for one request: who reads its answer slowly spends none of it.

    One limit for all of it: an answer that drips is as bad as none.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Spend time.

        Raises:
            TimeoutError: there is none left.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._seconds):
                yield
        finally:
            self._seconds -= loop.time() - began


class _Hearing:
    """STT over HTTP."""

    def __init__(self, endpoint: _Endpoint) -> None:
        self._endpoint = endpoint

    async def transcribe(self, pcm: bytes) -> str:
        """Post a WAV file."""
        at, wav = self._endpoint, header(len(pcm)) + pcm
        if at.is_openai("/audio/transcriptions"):
            form = aiohttp.FormData()
            form.add_field("model", at.named("model", "whisper-1"))
            form.add_field("response_format", "json")
            form.add_field("file", wav, filename="speech.wav", content_type="audio/wav")
            body = await at.whole(MOST_TEXT_BYTES, data=form)
        else:
            wanted = {"Content-Type": "audio/wav", "Accept": "application/json"}
            body = await at.whole(MOST_TEXT_BYTES, data=wav, headers=wanted)
        return at.member(body, "text").strip()


class _Thinking:
    """An LLM over HTTP."""

    def __init__(self, endpoint: _Endpoint) -> None:
        self._endpoint = endpoint

    async def reply(self, system: str, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """Post the talk so far."""
        at = self._endpoint
        told = [{"role": message.role, "content": message.content} for message in messages]
        if not at.is_openai("/chat/completions"):
            asked = {"system": system, "messages": told}
            yield at.member(await at.whole(MOST_TEXT_BYTES, json=asked), "reply")
            return
        if system:
            told.insert(0, {"role": "system", "content": system})
        question = {
            "model": at.named("model", "gpt-4o-mini"), "messages": told, "stream": True
        }  # fmt: skip
        async with aclosing(self._streamed(question)) as texts:
            async for text in texts:
                yield text

    async def _streamed(self, question: dict[str, Any]) -> AsyncGenerator[str, None]:
        """Read server-sent events, or a whole answer of who does not stream."""
        at, rest, streams = self._endpoint, b"", False
        async with aclosing(at.pieces(MOST_TEXT_BYTES, json=question)) as pieces:
            async for piece in pieces:
                rest += piece
                streams = streams or rest.lstrip().startswith((b"data:", b":", b"event:"))
                *lines, rest = rest.split(b"\n") if streams else [rest]
                for line in lines:
                    if text := self._delta(line.strip()):
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


class _Speaking:
    """TTS over HTTP."""

    def __init__(self, endpoint: _Endpoint) -> None:
        self._endpoint = endpoint

    async def speak(self, text: str) -> bytes:
        """Post a text."""
        at = self._endpoint
        asked = {"text": text}
        if at.is_openai("/audio/speech"):
            asked = {
                "model": at.named("model", "tts-1"),
                "voice": at.named("voice", "alloy"),
                "input": text,
                "response_format": "wav",
            }
        body = await at.whole(MOST_SOUND_BYTES, json=asked, headers={"Accept": "audio/wav"})
        try:
            return await to_call_sound(body)
        except BridgeError as error:
            raise at.failed("garbage", str(error)) from None


async def to_call_sound(data: bytes) -> bytes:
    """Give a WAV file of any rate, or raw 16 kHz samples, as 16 kHz mono samples.

    Raises:
        RemoteProtocolError: it is neither, or longer than `MOST_SPOKEN_SECONDS`.
    """
    if data[:4] != b"RIFF":
        if not data or len(data) % 2 or data.lstrip()[:1] in (b"{", b"<"):
            raise RemoteProtocolError("the answer is no sound")
        wav = Wav(data)
    else:
        wav = parse_wav(data)
    if not wav.pcm:
        raise RemoteProtocolError("the sound is empty")
    if len(wav.pcm) > MOST_SPOKEN_SECONDS * wav.rate * wav.channels * 2:
        raise RemoteProtocolError("the sound is too long")
    mono = _mono(wav)
    if wav.rate == SAMPLE_RATE:
        return mono
    # A filter for a rate that has nothing in common with ours would be a million samples long.
    rate = max(1, round(wav.rate / RATE_STEP)) * RATE_STEP
    resampler = Resampler(rate, SAMPLE_RATE)
    resampler.align()
    made = bytearray()
    step = 2 * round(wav.rate * PIECE_SECONDS)
    for start in range(0, len(mono), step):
        made += resampler.process(mono[start : start + step])
        await asyncio.sleep(0)
    return bytes(made) + resampler.flush()


def _mono(wav: Wav) -> bytes:
    if wav.channels == 1:
        return wav.pcm
    samples = np.frombuffer(wav.pcm, "<i2").reshape(-1, wav.channels)
    return bytes(samples.mean(axis=1).astype("<i2").tobytes())
