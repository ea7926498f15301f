"""Browsers that talk to the echo of one bridge, all from one loop."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field

import aiohttp
from aiortc import RTCCertificate

from tests.bench.generators.signal import make_loop
from tests.bench.studies.recoveries.heard import Heard
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.signalling import HttpExchange
from tests.support.server import Server

ECHO = "15550100001"
KEY = {"token": "demo"}
JUDGED_SECONDS = 2.0
"""How long a leg has to be connected before it is to survive."""


@dataclass
class Party:
    """A browser in a call of its own."""

    call_id: str
    peer: LightPeer
    heard: Heard
    connected_at: float
    states: list[str] = field(default_factory=list)
    """That its connection has had since."""
    recovered: int = 0
    """How often another process has gone on with its call."""
    left: bool = False
    """Whether it has closed the connection itself."""

    def note(self, state: str) -> None:
        """Note a state of its connection."""
        if not self.left:
            self.states.append(state)


class Parties:
    """The calls of a bridge."""

    def __init__(self, server: Server, http: aiohttp.ClientSession, stack: AsyncExitStack) -> None:
        """`http` sends the key of the line; parties leave with the `stack`."""
        self.server = server
        self.all: list[Party] = []
        self.live: list[Party] = []
        self._http, self._stack = http, stack
        self._certificate = RTCCertificate.generateCertificate()
        self._voice = make_loop(seconds=2)

    async def fill(self, count: int) -> None:
        """Begin calls until there are so many."""
        while len(self.live) < count:
            await self._call()

    async def speak(self) -> None:
        """Let all parties talk, until cancelled."""
        loop, number = asyncio.get_running_loop(), 0
        begun = loop.time()
        while True:
            await asyncio.sleep(begun + number * 0.02 - loop.time())
            payload = self._voice.payload(number)
            for party in self.live:
                with suppress(Exception):  # one that has gone, as its state says
                    party.peer.send(payload)
            number += 1

    async def age(self) -> None:
        """Wait until all are connected for `JUDGED_SECONDS`."""
        youngest = max((one.connected_at for one in self.live), default=0.0)
        await asyncio.sleep(youngest + JUDGED_SECONDS - time.monotonic())

    async def wait_heard(self, condition: Callable[[Party], bool], seconds: float) -> list[Party]:
        """Wait until this is so for all, so long at most; return those for which it is not."""
        deadline = time.monotonic() + seconds
        missing = [one for one in self.live if not condition(one)]
        while missing and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            missing = [one for one in missing if not condition(one)]
        return missing

    async def leave(self, party: Party) -> None:
        """Let a party that hears nothing any more go."""
        self.live.remove(party)
        party.left = True
        await party.peer.close()

    async def hang_up(self) -> None:
        """End all calls that are left."""
        for party in self.live:
            party.left = True
            body = {"callId": party.call_id}
            with suppress(aiohttp.ClientError):
                async with self._http.post(f"{self.server.url}/call/hangup", json=body):
                    pass
        self.live.clear()

    async def _call(self) -> None:
        body = {"phone": ECHO}
        async with self._http.post(f"{self.server.url}/call/dial", json=body) as dialled:
            if dialled.status != 200:
                raise ConnectionError(f"{dialled.status} {await dialled.text()}")
            call_id = str((await dialled.json())["data"]["callId"])
        peer = LightPeer(certificate=self._certificate, keep=False)
        await self._stack.enter_async_context(peer)
        await peer.call(HttpExchange(self._http.post, self.server.url, call_id=call_id), timeout=30)
        party = Party(call_id, peer, Heard(), time.monotonic())
        peer.dtls.on("statechange", lambda: party.note(f"DTLS {peer.dtls.state}"))
        peer._ice.on("statechange", lambda: party.note(f"ICE {peer._ice.state}"))
        _note(party)
        self.all.append(party)
        self.live.append(party)


def _note(party: Party) -> None:
    """Note what comes to a connected party, before its SRTP looks at it."""
    link, heard = party.peer._gatherer.link, party.heard
    receive = link.on_media
    assert receive is not None

    def take(data: bytes) -> None:
        heard.note(data, time.monotonic())
        receive(data)

    link.on_media = take
