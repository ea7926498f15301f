"""Flood ten media ports with strangers' STUN: how much of their sound do other calls lose?

    python -m tests.bench.studies.flood [--datagrams 20000] [--seconds 5]

Ten calls are flooded, each on its own port; two others talk to the contact that echoes. First
nobody floods, then somebody does. A packet that comes back later than a jitter buffer waits counts
as lost. Ends with 1 when the flood costs the others a hundredth of their sound or more, or when `/healthz` takes 200 ms.
"""

import argparse
import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import uvloop
from aiortc import RTCCertificate

from tests.bench import measure, servers
from tests.bench.generators.callers import Bridge
from tests.bench.generators.signal import Loop, make_loop
from tests.support.peers.light_peer import Address, Arrival, Departure, LightPeer, close_all

FLOODED = 10
OTHERS = 2
MAX_LOST = 0.01
MAX_HEALTH_SECONDS = 0.2
HEALTH_SECONDS = 0.05
LATE_SECONDS = 0.2
"""A packet that comes back after this is of no use to anybody."""

_IPV6_ADDRESS = b"\0\x20\0\x14\0\x02" + bytes(18)
DATAGRAM = b"\0\x01\x02\x40\x21\x12\xa4\x42" + b"by-a-strange" + _IPV6_ADDRESS * 24
"""A check that is dear to parse: as many addresses as fit in the longest message that is."""


@dataclass(frozen=True, slots=True)
class Spell:
    """What happened in some seconds."""

    lost: float
    """Share of the others' packets that did not come back in time."""
    flooded_lost: float
    """The same of the calls that are flooded."""
    cpu: float
    """Share of one core that the bridge took."""
    datagrams: float
    """That the flood sent, a second."""
    health: float
    """The longest that an answer of `/healthz` took, in seconds."""


def lost_share(sent: Sequence[Departure], heard: Sequence[Arrival]) -> float:
    """Return the share of packets that did not come back, or too late.

    The echo keeps its sender's timestamps but for where they begin, which the packet that comes
    back first tells: it belongs to the first one sent that can explain it.
    """
    if not sent or not heard:
        return 1.0
    begin = heard[0].timestamp - sent[0].timestamp
    times = {(one.timestamp - begin) & 0xFFFF_FFFF: one.time for one in heard}
    good = sum(times.get(one.timestamp, float("inf")) - one.time <= LATE_SECONDS for one in sent)
    return 1 - good / len(sent)


def send_flood(ports: Sequence[int], *, rate: int, seconds: float) -> None:
    """Send the flood to ports of loopback and print how many datagrams it was."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        begun, sent = time.monotonic(), 0
        while (now := time.monotonic() - begun) < seconds:
            while sent < rate * now:
                stranger.sendto(DATAGRAM, ("127.0.0.1", ports[sent % len(ports)]))
                sent += 1
            time.sleep(0.0005)
    print(sent)


class Flood:
    """Calls at one bridge, and a process that floods some of them."""

    def __init__(self, server: servers.Server, *, rate: int, seconds: float, core: int | None):
        self._server = server
        self._rate = rate
        self._seconds = seconds
        self._core = core
        self._loop: Loop = make_loop(seconds=2)
        self.peers: list[LightPeer] = []

    async def open(self, session: aiohttp.ClientSession) -> None:
        """Make all the calls."""
        self._session = session
        bridge = Bridge(session, self._server.url, kind="echo")
        certificate = RTCCertificate.generateCertificate()
        for _ in range(FLOODED + OTHERS):
            call = await bridge.call()
            self.peers.append(LightPeer(certificate=certificate))
            await self.peers[-1].call(call.seats[0])
        await asyncio.gather(*(self._talk(peer, 0.5) for peer in self.peers))

    async def spell(self, *, flooding: bool) -> Spell:
        """Let everybody talk for a while, flooded or not."""
        targets: list[Address] = [peer.remote_addresses[0] for peer in self.peers[:FLOODED]]
        process = self._start(targets) if flooding else None
        cpu, begun = measure.cpu_seconds([self._server.pid]), time.monotonic()
        asking = asyncio.create_task(self._ask_health())
        lost = await asyncio.gather(*(self._talk(peer, self._seconds) for peer in self.peers))
        asking.cancel()
        used = (measure.cpu_seconds([self._server.pid]) - cpu) / (time.monotonic() - begun)
        sent = 0
        if process is not None:
            output, _ = await asyncio.to_thread(process.communicate)
            sent = int(output)
        others = lost[FLOODED:]
        return Spell(
            lost=sum(others) / len(others),
            flooded_lost=sum(lost[:FLOODED]) / FLOODED,
            cpu=used,
            datagrams=sent / self._seconds,
            health=self._slowest,
        )

    async def _ask_health(self) -> None:
        self._slowest = 0.0
        while True:
            begun = time.monotonic()
            async with self._session.get(f"{self._server.url}/healthz") as answer:
                await answer.read()
            self._slowest = max(self._slowest, time.monotonic() - begun)
            await asyncio.sleep(HEALTH_SECONDS)

    async def _talk(self, peer: LightPeer, seconds: float) -> float:
        peer.arrivals.clear()
        sent = await peer.speak(self._loop.payload(number) for number in range(int(seconds * 50)))
        await asyncio.sleep(LATE_SECONDS)
        return lost_share(sent, peer.arrivals)

    def _start(self, targets: Sequence[Address]) -> "subprocess.Popen[bytes]":
        ports = ",".join(str(port) for _, port in targets)
        command = [
            *(sys.executable, "-m", "tests.bench.studies.flood", "--ports", ports),
            *("--datagrams", str(self._rate), "--seconds", str(self._seconds)),
        ]
        process = subprocess.Popen(command, cwd=servers.ROOT, stdout=subprocess.PIPE)
        servers.pin(process.pid, self._core)
        return process


async def run(
    server: servers.Server, *, rate: int, seconds: float, core: int | None
) -> list[Spell]:
    """Talk without and with the flood."""
    flood = Flood(server, rate=rate, seconds=seconds, core=core)
    async with aiohttp.ClientSession() as session:
        try:
            await flood.open(session)
            return [await flood.spell(flooding=flooding) for flooding in (False, True)]
        finally:
            await close_all(flood.peers)


def report(spells: Sequence[Spell]) -> str:
    """Write what happened, a line for each spell."""
    return "\n".join(
        f"{one.datagrams:7.0f} datagrams/s  {one.datagrams * len(DATAGRAM) * 8 / 1e6:5.1f} Mbit/s  "
        f"others lost {100 * one.lost:5.2f} %  flooded lost {100 * one.flooded_lost:5.2f} %  "
        f"bridge {100 * one.cpu:3.0f} % of a core  /healthz {1000 * one.health:3.0f} ms at most"
        for one in spells
    )


def main() -> int:
    """Flood, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.studies.flood")
    parser.add_argument("--datagrams", type=int, default=20_000, help="a second, over all ports")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--ports", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ports:
        ports = [int(port) for port in options.ports.split(",")]
        send_flood(ports, rate=options.datagrams, seconds=options.seconds)
        return 0
    server_core, generator_core = servers.cores()
    with servers.start("bridge", core=server_core) as server:
        servers.pin(0, generator_core)
        spells = uvloop.run(
            run(server, rate=options.datagrams, seconds=options.seconds, core=generator_core)
        )
    print(report(spells))
    quiet, flooded = spells
    return int(flooded.lost - quiet.lost >= MAX_LOST or flooded.health >= MAX_HEALTH_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
