"""How soon an agent falls silent when it is spoken over, and how soon it answers.

Started by the bench with a plan (JSON) on standard input; writes what was measured to standard
output (JSON). The agent's providers are here too, and answer at once. A caller lets the agent talk
for a while, speaks over it, falls silent, and waits for the answer, which is spoken over in turn.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp
import numpy as np
import uvloop
from aiohttp import web

from bridge.audio.detect.level import level
from bridge.settings.agent import Agent
from tests.bench import measure
from tests.bench.generators.callers import KEY
from tests.bench.generators.made_sounds import tone, wav
from tests.bench.generators.signal import make_loop
from tests.support.machine import free_port
from tests.support.packets.opus_packets import FRAME, encode
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.signalling import HttpExchange
from tests.support.sound.speech_compare import Pcm
from tests.support.sound.voices import words

LOUD_DBOV = -35.0
"""Speech begins and ends with a frame that is louder, so that it is plain when it does."""
WORDS_SECONDS = 0.9
_FRAME_SECONDS = 0.02
_TALK_SECONDS = (0.6, 1.2)
"""The agent talks for so long, by chance, before it is spoken over."""
_STOPS_WITHIN, _ANSWERS_WITHIN = 1.0, 3.0
_REPLY_SECONDS = 4.0
_HEADERS = {"token": KEY}


@dataclass(slots=True, kw_only=True)
class Talked:
    """What was measured of agents."""

    turns: int = 0
    """How often an agent was spoken over, and had to answer."""
    stops: list[float] = field(default_factory=list)
    """From sending the packet in which a caller's voice begins to the last one of the agent's."""
    own: list[float] = field(default_factory=list)
    """As the bridge tells it: from noticing that the caller has ended to the first sound."""
    answers: list[float] = field(default_factory=list)
    """From sending the caller's last loud packet to having the agent's first."""
    end_seconds: float = 0.0
    """How much silence ends an utterance, by the settings."""


@dataclass(slots=True)
class _Turn:
    """One time that an agent is spoken over."""

    began: float
    ended: float = 0.0
    until: float = 0.0
    """When the next turn began."""


async def run(url: str, *, calls: int, turns: int) -> Talked:
    """Let so many callers talk with an agent each, so many turns each."""
    result = Talked(end_seconds=Agent().end_seconds)
    async with aiohttp.ClientSession() as session, _providers() as root:
        await _configure(session, url, root)
        async with asyncio.TaskGroup() as group:
            for number in range(calls):
                group.create_task(_talk(session, url, number, turns, result))
    return result


def spoken(voice: int) -> Pcm:
    """Return words of a voice that begin and end loud."""
    whole = words(voice)
    frames = whole[: len(whole) // FRAME * FRAME].reshape(-1, FRAME)
    loud = [number for number, one in enumerate(frames) if level(one.tobytes()) >= LOUD_DBOV]
    first = loud[0]
    last = max(number for number in loud if number <= first + WORDS_SECONDS / _FRAME_SECONDS)
    return frames[first : last + 1].reshape(-1)


async def _talk(
    session: aiohttp.ClientSession, url: str, number: int, turns: int, result: Talked
) -> None:
    chance = np.random.default_rng(number)
    speech, quiet = encode(spoken(number % 3)), make_loop(quiet=True).packets
    call_id = (await _post(session, url, "/call/dial", {"channel": "webrtc"}))["data"]["callId"]
    seat = HttpExchange(session.post, url, call_id=call_id, key=KEY, party="far")
    done: list[_Turn] = []
    async with LightPeer(ssrc=number + 1) as peer:
        await peer.call(seat)
        caller = _CallerVoice(peer, quiet)
        speaking = asyncio.create_task(caller.run())
        listening = asyncio.create_task(_follow(session, url, call_id, result.own))
        try:
            await asyncio.sleep(0.5)
            await _post(session, url, "/call/agent/start", {"callId": call_id, "mode": "ai"})
            await caller.hear(_ANSWERS_WITHIN)
            for _ in range(turns):
                await asyncio.sleep(chance.uniform(*_TALK_SECONDS))
                done.append(await caller.say(speech))
                await caller.hear(_ANSWERS_WITHIN)
                done[-1].until = time.monotonic()
            await asyncio.sleep(0.3)
        finally:
            for task in (speaking, listening):
                task.cancel()
        await _post(session, url, "/call/hangup", {"callId": call_id})
    loud = measure.loud_times(peer.arrivals)
    result.turns += len(done)
    for turn in done:
        judge(turn.began, turn.ended, turn.until, loud, result)


def judge(began: float, ended: float, until: float, loud: Sequence[float], result: Talked) -> None:
    """Take from the moments of an agent's loud packets when it stopped and when it answered.

    Args:
        began: When the caller's first loud packet was sent.
        ended: When the last one was.
        until: What comes later belongs to another turn.
        loud: When the agent's loud packets came.
        result: Gets what was found; an agent that did not stop, or did not answer, adds nothing.
    """
    before = [moment - began for moment in loud if -0.1 < moment - began < _STOPS_WITHIN]
    if before and ended - began > max(before) and max(before) < _STOPS_WITHIN / 2:
        result.stops.append(max(0.0, max(before)))
    after = [moment - ended for moment in loud if ended < moment < until + 0.5]
    if after:
        result.answers.append(min(after))


class _CallerVoice:
    """Sends a packet every 20 ms: quiet ones, and words when there are some to say."""

    def __init__(self, peer: LightPeer, quiet: Sequence[bytes]) -> None:
        self._peer = peer
        self._quiet = quiet
        self._words: list[bytes] = []
        self._sent = asyncio.Event()
        self._last = 0.0
        self._louder = asyncio.Event()
        peer.on_packet = self._on_packet

    async def run(self) -> None:
        begun, number = time.monotonic(), 0
        while True:
            await asyncio.sleep(begun + number * _FRAME_SECONDS - time.monotonic())
            if self._words:
                self._last = self._peer.send(self._words.pop(0)).time
                self._sent.set()
            else:
                self._peer.send(self._quiet[number % len(self._quiet)])
            number += 1

    async def say(self, words: Sequence[bytes]) -> _Turn:
        """Say words; returns when they have been said."""
        self._words = list(words)
        self._sent.clear()
        await self._sent.wait()
        turn = _Turn(self._last)
        while self._words:
            self._sent.clear()
            await self._sent.wait()
        turn.ended = self._last
        return turn

    async def hear(self, seconds: float) -> None:
        """Wait until the agent says something, or so long."""
        self._louder.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._louder.wait()
        except TimeoutError:
            pass

    def _on_packet(self, arrival: Any) -> None:
        # A packet of a tone is long, one of silence short; exact times are taken afterwards.
        if len(arrival.payload) > _LOUD_PACKET_BYTES:
            self._louder.set()


_LOUD_PACKET_BYTES = 40


async def _follow(session: aiohttp.ClientSession, url: str, call_id: str, own: list[float]) -> None:
    """Read what the bridge tells of each answer."""
    timeout = aiohttp.ClientTimeout(total=None)
    path = f"{url}/call/{call_id}/events"
    async with session.get(path, headers=_HEADERS, timeout=timeout) as reply:
        async for line in reply.content:
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                if event["type"] == "agent.replied" and "sttMs" in (data := event["data"]):
                    own.append(data["firstAudioMs"] / 1000)


@asynccontextmanager
async def _providers() -> AsyncIterator[str]:
    """Serve what hears, thinks and speaks, all at once."""
    voice = wav(tone(seconds=_REPLY_SECONDS))

    async def hear(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"text": "Tell me more."})

    async def think(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"reply": "There is a lot that can be said about it."})

    async def speak(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=voice, content_type="audio/wav")

    application = web.Application(client_max_size=16 * 1024 * 1024)
    application.add_routes(
        [web.post("/stt", hear), web.post("/llm", think), web.post("/tts", speak)]
    )
    port = free_port()
    runner = web.AppRunner(application, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def _configure(session: aiohttp.ClientSession, url: str, root: str) -> None:
    body = {
        "callSttUrl": f"{root}/stt",
        "callLlmUrl": f"{root}/llm",
        "callTtsUrl": f"{root}/tts",
        "callGreeting": "Good day.",
    }
    async with session.put(f"{url}/call/config", json=body, headers=_HEADERS) as reply:
        if reply.status != 200:
            raise ConnectionError(f"/call/config: {reply.status} {await reply.text()}")
    await _post(session, url, "/session/connect", {})


async def _post(
    session: aiohttp.ClientSession, url: str, path: str, body: dict[str, str]
) -> dict[str, Any]:
    async with session.post(url + path, json=body, headers=_HEADERS) as reply:
        if reply.status != 200:
            raise ConnectionError(f"{path}: {reply.status} {await reply.text()}")
        tree: dict[str, Any] = await reply.json(content_type=None)
        return tree


def main() -> None:
    """Do what standard input says."""
    plan = json.load(sys.stdin)
    json.dump(asdict(uvloop.run(run(plan.pop("url"), **plan))), sys.stdout)


if __name__ == "__main__":
    main()
