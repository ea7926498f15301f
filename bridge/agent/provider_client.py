"""HTTP requests to a provider's URL, with limits of time and size."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp import ClientResponse
from yarl import URL

from bridge.agent.providers import ProviderFailed
from bridge.errors import AddressBlocked
from bridge.http.client import CONNECT_SECONDS, LineHttp

NO_LIMIT: Final = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
"""Requests use `TimeBudget` instead."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One provider URL; every failure is raised as `ProviderFailed`."""

    http: LineHttp
    step: str
    url: str
    token: str
    seconds: float

    def is_openai(self, ending: str) -> bool:
        """Return whether the URL's path ends like OpenAI's."""
        return self._parsed().path.rstrip("/").endswith(ending)

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
                async with left.running():
                    answer = await stack.enter_async_context(self._post(request))
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

    def _post(self, request: dict[str, Any]) -> AbstractAsyncContextManager[ClientResponse]:
        headers = dict(request.pop("headers", {}))
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
