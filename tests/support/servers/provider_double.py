"""Providers of speech and thought for tests: one local server that hears, thinks and speaks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import numpy as np
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.audio.file.wav import make_header

SECOND = 16_000


def tone_wav(seconds: float = 0.4, *, amplitude: float = 8000.0) -> bytes:
    time = np.arange(round(seconds * SECOND)) / SECOND
    pcm = (amplitude * np.sin(2 * np.pi * 500 * time)).astype("<i2").tobytes()
    return make_header(len(pcm)) + pcm


class ProviderDouble:
    """What each step answers can be changed: an object (JSON), bytes, a status, `hang`, `drip`.

    Seconds (a float) delay what it would answer else.
    """

    def __init__(self) -> None:
        self._usual: dict[str, object] = {
            "stt": {"text": "I would like a table."},
            "llm": {"reply": "For how many? We are open until ten."},
            "tts": tone_wav(),
        }
        self.answers = dict(self._usual)
        self.asked: list[tuple[str, object]] = []
        self.tokens: list[str] = []
        self.parents: list[str] = []
        """The `traceparent` of each request, if it has one."""
        self.entered: dict[str, asyncio.Event] = {
            step: asyncio.Event() for step in ("stt", "llm", "tts")
        }
        self.root = ""

    def config(self, mode: str, **more: object) -> dict[str, object]:
        urls = {f"call{step.title()}Url": f"{self.root}/{step}" for step in self.entered}
        return {
            "callInboundMode": mode,
            "callGreeting": "Good day.",
            "callSystemPrompt": "Be brief.",
            "callProviderToken": "s3cret",
            **urls,
            **more,
        }

    def count(self, step: str) -> int:
        return sum(asked == step for asked, _ in self.asked)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        step = request.match_info["step"]
        self.tokens.append(request.headers.get("Authorization", ""))
        self.parents += request.headers.getall("traceparent", [])
        body = await request.read()
        self.asked.append((step, body if step == "stt" else await request.json()))
        self.entered[step].set()
        answer = self.answers[step]
        if answer == "hang":
            await asyncio.sleep(3600)
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            answer = self._usual[step]
        if answer == "drip":
            return await self._drip(request)
        if isinstance(answer, web.HTTPException):
            raise answer
        if isinstance(answer, int):
            return web.Response(status=answer, text="no")
        if isinstance(answer, bytes):
            return web.Response(body=answer, content_type="application/octet-stream")
        return web.json_response(answer)

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with suppress(ConnectionError):
            while True:
                await answer.write(bytes(2))
                await asyncio.sleep(0.01)
        return answer


@asynccontextmanager
async def providing() -> AsyncIterator[ProviderDouble]:
    double = ProviderDouble()
    application = web.Application(client_max_size=32 * 1024 * 1024)
    application.router.add_post("/{step}", double.handle)
    server = TestServer(application)
    await server.start_server(shutdown_timeout=0.01)
    double.root = str(server.make_url("")).rstrip("/")
    try:
        yield double
    finally:
        await server.close()
