"""An example as its README starts it, and calls to it."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from tests.examples.stream_relay import StreamRelay, stream_relay
from tests.support.machine import free_port
from tests.support.packets.opus_packets import RATE, encode
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.signalling import HttpExchange
from tests.support.server import PROJECT, free_media_ports
from tests.support.sound.speech_compare import Pcm
from tests.support.waiting import until, until_answer

KEY = "demo"
READY_SECONDS = 60.0
"""Generous: Pipecat imports a lot, and the machine may be busy with other tests."""
STOP_SECONDS = 15.0
ECHO_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Example:
    """A bridge and an example beside it."""

    bridge: str
    """`http://host:port`."""
    port: int
    """Of the example."""
    log: Path

    def text(self) -> str:
        """Return what both have written so far."""
        return self.log.read_text(errors="replace")


@contextmanager
def running_example(folder: Path, *arguments: str, **environment: str) -> Iterator[Example]:
    """Run `examples/run.py`; it has to end when asked to, with all that it started.

    Raises:
        AssertionError: it was not ready, or did not end, in time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bridge, port = free_port(), free_port()
    wanted = {
        "BRIDGE_HTTP__PORT": str(bridge),
        "BRIDGE_RTC__PORTS": free_media_ports(),
        "BRIDGE_RTC__STUN_URLS": "[]",
        "BRIDGE_LIMITS__OVERLOAD_SECONDS": "0",
        "BRIDGE_SIMULATOR__RING_SECONDS": "0.2",
        "PORT": str(port),
        **environment,
    }
    example = Example(f"http://127.0.0.1:{bridge}", port, folder / "log.txt")
    with example.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "examples/run.py", *arguments],
            cwd=PROJECT,
            env={k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")} | wanted,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(example, process)
        yield example
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"the example did not end:\n{example.text()}") from None


def _wait_until_ready(example: Example, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while " and press: " not in example.text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"the example was not ready:\n{example.text()}")
        time.sleep(0.05)


class Caller:
    """The party that talks with the example: sends a packet every 20 ms, of silence or of words."""

    def __init__(self, peer: LightPeer) -> None:
        self.peer = peer
        self._quiet = encode(np.zeros(3200, np.int16))
        self._words: list[bytes] = []

    async def run(self) -> None:
        """Send until cancelled."""
        loop = asyncio.get_running_loop()
        begun, number = loop.time(), 0
        while True:
            await asyncio.sleep(begun + number * 0.02 - loop.time())
            quiet = self._quiet[number % len(self._quiet)]
            self.peer.send(self._words.pop(0) if self._words else quiet)
            number += 1

    def say(self, pcm: Pcm) -> None:
        """Say something."""
        self._words += encode(pcm)

    async def say_and_listen(self, pcm: Pcm) -> None:
        """Say something, and wait until the last of an echo must have come."""
        self.say(pcm)
        await until(lambda: not self._words, timeout=len(pcm) / RATE + 20)
        await asyncio.sleep(ECHO_SECONDS)


class Api:
    """The bridge's HTTP interface."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self._url = url

    async def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a request and return what is in the reply's envelope.

        Raises:
            AssertionError: the status is not 200.
        """
        headers = {"token": KEY}
        async with self.session.request(
            method, self._url + path, json=body, headers=headers
        ) as reply:
            assert reply.status == 200, f"{path}: {reply.status} {await reply.text()}"
            return (await reply.json()).get("data")


@dataclass(frozen=True, slots=True)
class ExampleCall:
    """A call whose far party is a test's."""

    caller: Caller
    api: Api
    call_id: str


@asynccontextmanager
async def calling(example: Example) -> AsyncIterator[ExampleCall]:
    """Call the bridge of an example; hang up afterwards."""
    async with aiohttp.ClientSession() as session, LightPeer() as peer:
        api = Api(session, example.bridge)
        call_id = (await api.request("POST", "/call/dial", {"channel": "webrtc"}))["callId"]
        await peer.call(
            HttpExchange(session.post, example.bridge, call_id=call_id, key=KEY, party="far")
        )
        await answered(api, call_id)
        caller = Caller(peer)
        speaking = asyncio.create_task(caller.run())
        try:
            yield ExampleCall(caller, api, call_id)
            await api.request("POST", "/call/hangup", {"callId": call_id})
        finally:
            speaking.cancel()


async def answered(api: Api, call_id: str) -> None:
    """Wait until the bridge has seen that the far party is connected."""

    async def active() -> bool:
        live = (await api.request("GET", "/call/status"))["calls"]
        return any((call["callId"], call["state"]) == (call_id, "active") for call in live)

    await until_answer(active, timeout=30)


@dataclass(frozen=True, slots=True)
class Talk:
    """A call that is streamed to the example, and all that both say."""

    caller: Caller
    relay: StreamRelay


@asynccontextmanager
async def talking(example: Example, path: str, **stream: Any) -> AsyncIterator[Talk]:
    """Call the example, with a relay between it and the bridge; hang up afterwards."""
    target = f"ws://127.0.0.1:{example.port}{path}"
    async with stream_relay(target) as relay, calling(example) as call:
        body = {"streamUrl": relay.url, "streamProtocol": "twilio", **stream}
        await call.api.request("POST", f"/call/{call.call_id}/streams", body)
        yield Talk(call.caller, relay)
