"""HTTP requests to a provider's URL, with timeouts and size limits; each is a span of its call's trace."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp import ClientResponse
from yarl import URL

from bridge.agent.providers import ProviderFailed
from bridge.errors import AddressBlocked
from bridge.http.client import CONNECT_SECONDS, LineHttp
from bridge.telemetry.span import MAX_TEXT, AttributeValue
from bridge.telemetry.trace import UNTRACED, OpenSpan, Trace

NO_LIMIT: Final = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
"""Requests use `TimeBudget` instead."""
OPERATIONS: Final = {"stt": "speech_to_text", "llm": "chat", "tts": "text_to_speech"}
"""Operation names of the steps in traces (OpenTelemetry's conventions for generative AI, and their draft for voice)."""
OPENAI_PATHS: Final = {
    "stt": "/audio/transcriptions",
    "llm": "/chat/completions",
    "tts": "/audio/speech",
}
"""How the paths of OpenAI's API end, by step."""


@dataclass(frozen=True, slots=True)
class Traced:
    """The call and leg that requests belong to in traces."""

    trace: Trace = UNTRACED
    leg_id: str = ""
    """The agent; empty without one."""


NO_CALL: Final = Traced()
"""Requests for no call."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One provider URL; every failure is raised as `ProviderFailed`."""

    http: LineHttp
    step: str
    url: str
    token: str
    seconds: float
    model: str = ""
    """The model, for OpenAI's API, where the URL names none."""
    traced: Traced = NO_CALL

    @property
    def is_openai(self) -> bool:
        """Whether the URL's path ends like OpenAI's."""
        return self._parsed().path.rstrip("/").endswith(OPENAI_PATHS[self.step])

    def query_value(self, name: str, default: str) -> str:
        """Return a parameter of the URL's query, such as the model."""
        return self._parsed().query.get(name, default)

    def _parsed(self) -> URL:
        try:
            return URL(self.url)
        except ValueError:
            return URL()  # the request will fail

    async def post(self, max_bytes: int, **request: Any) -> bytes:  # noqa: ANN401 - aiohttp's own
        """Post a request and return the body."""
        body = bytearray()
        async with aclosing(self.stream(max_bytes, **request)) as pieces:
            async for piece in pieces:
                body += piece
        return bytes(body)

    async def stream(self, max_bytes: int, **request: Any) -> AsyncGenerator[bytes, None]:  # noqa: ANN401
        """Post a request and yield the body as it arrives."""
        if not self.url:
            raise self.failed("missing", "no URL is configured")
        size, left = 0, TimeBudget(self.seconds)
        try:
            async with AsyncExitStack() as stack:
                span = stack.enter_context(self._span())
                async with left.running():
                    answer = await stack.enter_async_context(self._post(request, span.headers))
                span.answered(answer.status)
                if not 200 <= answer.status < 300:
                    raise self.failed("status", f"the provider returned status {answer.status}")
                while True:
                    async with left.running():
                        piece = await answer.content.readany()
                    if not piece:
                        return
                    size += len(piece)
                    if size > max_bytes:
                        raise self.failed("too_large", "the response is too large")
                    yield piece
        except TimeoutError:
            raise self.failed("timeout", "timeout") from None
        except AddressBlocked as error:
            raise self.failed("blocked", str(error)) from None
        except (aiohttp.InvalidURL, aiohttp.ClientError, OSError, ValueError):
            raise self.failed("unreachable", "the provider is unreachable") from None

    def failed(self, reason: str, message: str) -> ProviderFailed:
        """Return an error of this step."""
        return ProviderFailed(f"{self.step}: {message}", step=self.step, reason=reason)

    def _span(self) -> OpenSpan:
        trace = self.traced.trace
        if trace.take is None:
            return trace.request("", {})
        operation = OPERATIONS[self.step]
        attributes: dict[str, AttributeValue] = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": "openai" if self.is_openai else "zuckzapgo",
            "gen_ai.conversation.id": trace.call_id,
        }
        model = self.query_value("model", self.model)[:MAX_TEXT] if self.is_openai else ""
        attributes |= {"gen_ai.request.model": model} if model else {}
        attributes |= {"gen_ai.output.type": "speech"} if self.step == "tts" else {}
        return trace.request(
            f"{operation} {model}".strip(),
            attributes,
            url=self.url,
            leg_id=self.traced.leg_id,
        )

    def _post(
        self, request: dict[str, Any], context: Mapping[str, str]
    ) -> AbstractAsyncContextManager[ClientResponse]:
        headers = {**request.pop("headers", {}), **context}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return self.http.guarded().post(
            self.url, headers=headers, allow_redirects=False, timeout=NO_LIMIT, **request
        )

    def member(self, body: bytes, *path: str | int) -> str:
        """Return a string inside a JSON response."""
        try:
            found = json.loads(body)
            for name in path:
                found = found[name]
        except (ValueError, LookupError, TypeError, RecursionError):
            found = None
        if not isinstance(found, str):
            raise self.failed("garbage", f"the response has no {path[-1]}")
        return found


class TimeBudget:
    """The time limit of a whole request; only time spent waiting for the provider counts."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Count the time of the block; raises `TimeoutError` when none is left."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._seconds):
                yield
        finally:
            self._seconds -= loop.time() - began
