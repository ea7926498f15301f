"""A customer's server that takes webhooks, and can be told to refuse them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec
from aiohttp import web


@dataclass(frozen=True, slots=True)
class Taken:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body, out of WaGo's form if it is one."""
        if self.headers["content-type"].startswith("application/x-www-form"):
            return msgspec.json.decode(parse_qs(self.body.decode())["jsonData"][0])
        return msgspec.json.decode(self.body)


@dataclass
class Receiver:
    """What came, and what is answered."""

    url: str = ""
    taken: list[Taken] = field(default_factory=list)
    """What was answered with 200."""
    refused: list[Taken] = field(default_factory=list)
    answer: Callable[[Taken], int] = lambda taken: 200
    delay: float = 0.0
    now: int = 0
    """Requests that are being answered."""
    most: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            headers = {name.lower(): value for name, value in request.headers.items()}
            came = Taken(request.path, headers, await request.read())
            await asyncio.sleep(self.delay)
            status = self.answer(came)
            (self.taken if status == 200 else self.refused).append(came)
            return web.Response(status=status)
        finally:
            self.now -= 1


@asynccontextmanager
async def receiving(port: int = 0) -> AsyncIterator[Receiver]:
    """Run a receiver on loopback for the length of a `with`."""
    receiver = Receiver()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield receiver
    finally:
        await runner.cleanup()
