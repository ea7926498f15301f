"""Callers who talk to the echo through real media, and notice every gap; they repeat no request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiortc import RTCCertificate

from tests.bench.generators.signal import Loop, make_loop
from tests.bench.generators.talker import Talker
from tests.support.peers.light_peer import Arrival, LightPeer
from tests.support.peers.signalling import HttpExchange
from tests.support.waiting import until

ECHO = "15550100001"
KEY = "key-of-the-cluster-under-test"
PULSE_SECONDS = 0.05
REQUEST_SECONDS = 30.0
PATIENCE_SECONDS = 10.0
"""For which a 503 that asks for it is tried again, while another process takes a call over."""


@dataclass(slots=True)
class Caller:
    """One call with somebody in it."""

    call_id: str
    peer: LightPeer
    talker: Talker
    leg_id: str = ""
    heard: int = 0
    """Packets."""
    silence: int = 0
    """Pulses of the test since the last packet."""
    longest_silence: int = 0
    cut: bool = False
    """Whether the bridge had said goodbye before the caller did."""

    @property
    def gap(self) -> float:
        """Seconds without sound at most; those in which the test itself stood still do not count."""
        return self.longest_silence * PULSE_SECONDS

    def hear(self, _: Arrival) -> None:
        """Note a packet."""
        self.heard += 1
        self.silence = 0


@dataclass(slots=True)
class Callers:
    """All calls of a test, and every request that was made for them.

    Args:
        url: Where requests go: the load balancer, or one machine.
        session: For requests.
        host: Address of the callers.
    """

    url: str
    session: aiohttp.ClientSession
    host: str
    failures: list[str] = field(default_factory=list)
    """Requests that failed."""
    requests: int = 0
    live: list[Caller] = field(default_factory=list)
    ended: list[Caller] = field(default_factory=list)
    _loop: Loop = field(default_factory=lambda: make_loop(seconds=1))
    _certificate: RTCCertificate = field(default_factory=RTCCertificate.generateCertificate)

    async def begin(self, *, url: str = "") -> Caller:
        """Make a call and talk in it; returns once the echo is heard."""
        url = url or self.url
        reply = await self.request("POST", "/call/dial", {"phone": ECHO}, url=url)
        call_id = reply["data"]["callId"]
        number = len(self.live) + len(self.ended)
        peer = LightPeer(
            host=self.host, certificate=self._certificate, ssrc=0x1000 + number, keep=False
        )
        exchange = HttpExchange(self.session.post, url, call_id=call_id, key=KEY)
        self.requests += 1
        try:
            await peer.call(exchange)
        except BaseException as error:
            self.failures.append(f"offer: {error!r}")
            await peer.close()
            raise
        talker = Talker(number, peer, self._loop)
        caller = Caller(call_id, peer, talker, leg_id=exchange.leg_id)
        peer.on_packet = caller.hear
        self.live.append(caller)
        caller.talker.start()
        await until(lambda: caller.heard >= 3, timeout=10)
        caller.longest_silence = 0
        return caller

    async def hang_up(self, caller: Caller) -> None:
        """End a call, as its caller."""
        self.stop(caller)
        with suppress(aiohttp.ClientError, TimeoutError):  # noted as a failure
            await self.request(
                "POST", "/call/hangup", {"callId": caller.call_id}, patience=PATIENCE_SECONDS
            )
        with suppress(ConnectionError):
            await caller.peer.close()

    def stop(self, caller: Caller) -> None:
        """Fall silent and listen no more."""
        if caller in self.live:
            caller.cut = caller.peer.closed
            caller.talker.stop()
            self.live.remove(caller)
            self.ended.append(caller)

    async def request(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        url: str = "",
        patience: float = 0.0,
    ) -> Any:
        """Ask once, or again as long as there is `patience` and a 503 asks for it; what fails is noted and raised."""
        self.requests += 1
        until = asyncio.get_running_loop().time() + patience
        while True:
            try:
                async with self.session.request(
                    method,
                    f"{url or self.url}{path}",
                    json=body,
                    headers={"token": KEY},
                    timeout=aiohttp.ClientTimeout(REQUEST_SECONDS),
                ) as response:
                    text = await response.text()
                    again = response.headers.get("Retry-After") if response.status == 503 else None
                    if again is None or asyncio.get_running_loop().time() >= until:
                        if response.status >= 400:
                            self.failures.append(f"{method} {path}: {response.status} {text[:200]}")
                        response.raise_for_status()
                        return await response.json(content_type=None)
            except (aiohttp.ClientConnectionError, TimeoutError) as error:
                self.failures.append(f"{method} {path}: {error!r}")
                raise
            await asyncio.sleep(float(again))

    def forget_gaps(self) -> None:
        """Begin to look for gaps anew."""
        for caller in self.live:
            caller.longest_silence = caller.silence = 0

    async def pulse(self) -> None:
        """Count for each caller how long nothing has come, until cancelled."""
        while True:
            await asyncio.sleep(PULSE_SECONDS)
            for caller in self.live:
                caller.silence += 1
                caller.longest_silence = max(caller.longest_silence, caller.silence)


@asynccontextmanager
async def calling(url: str, host: str) -> AsyncIterator[Callers]:
    """Run callers for the length of a `with`."""
    # A proxy's certificate is its own.
    connector = aiohttp.TCPConnector(limit=200, ssl=False)
    async with aiohttp.ClientSession(connector=connector) as session:
        callers = Callers(url, session, host)
        pulse = asyncio.create_task(callers.pulse(), name="pulse")
        try:
            yield callers
        finally:
            pulse.cancel()
            for caller in callers.live:
                caller.talker.stop()
            for caller in callers.live + callers.ended:
                with suppress(ConnectionError):
                    await caller.peer.close()
