"""A provider's URL, and how it is asked: in time, within its size, with one error for all faults."""

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
from bridge.net.http import CONNECT_SECONDS, LineHttp

NO_LIMIT: Final = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
"""Each request keeps its own time."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One URL, and how it is asked; every way to fail becomes a `ProviderFailed`."""

    http: LineHttp
    step: str
    url: str
    token: str
    seconds: float

    def is_openai(self, ending: str) -> bool:
        """Whether the URL's path ends as that of OpenAI does."""
        return self._parsed().path.rstrip("/").endswith(ending)

    def named(self, what: str, default: str) -> str:
        """Give what the URL's query names, such as the model."""
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
        size, left = 0, Left(self.seconds)
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
        """Give the error of this step."""
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


class Left:
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
