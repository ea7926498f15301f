"""Callers who offer again under their leg's id once nothing has come for 2 s, as web/call.js does."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import aiohttp
from aiortc import RTCCertificate

from tests.machines.callers import KEY, PULSE_SECONDS, Caller, Callers
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.signalling import HttpExchange, SignallingError

SILENT_SECONDS = 2.0
RETRY_SECONDS = 1.0
CONNECT_SECONDS = 3.0
ATTEMPTS = 3


class Returning:
    """Brings callers back to their calls."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._certificate = RTCCertificate.generateCertificate()
        self._loop = asyncio.get_running_loop()
        self.refusals: list[str] = []
        """What offers were refused with."""
        self.back: dict[str, float] = {}
        """When each caller heard its call again, by the call's id and the loop's clock."""

    async def follow(self, callers: Sequence[Caller]) -> None:
        """Watch callers until each was lost once and is back."""
        await asyncio.gather(*(self._follow(caller) for caller in callers))

    async def _follow(self, caller: Caller) -> None:
        while caller.silence * PULSE_SECONDS < SILENT_SECONDS:
            await asyncio.sleep(PULSE_SECONDS)
        former = caller.peer
        while not await self._offer(caller):
            await asyncio.sleep(RETRY_SECONDS)
        self.back[caller.call_id] = self._loop.time()
        with suppress(ConnectionError):
            await former.close()

    async def _offer(self, caller: Caller) -> bool:
        """Offer a new connection; return whether it is up and the call is heard."""
        host, ssrc = self._callers.host, caller.peer.ssrc
        peer = LightPeer(host=host, certificate=self._certificate, ssrc=ssrc, keep=False)
        exchange = HttpExchange(
            self._callers.session.post,
            self._callers.url,
            call_id=caller.call_id,
            key=KEY,
            legID=caller.leg_id,
        )
        try:
            await peer.call(partial(insist, exchange), timeout=CONNECT_SECONDS)
            assert exchange.leg_id == caller.leg_id, "another leg"
            heard = caller.heard
            peer.on_packet, caller.talker.peer, caller.peer = caller.hear, peer, peer
            async with asyncio.timeout(CONNECT_SECONDS):
                while caller.heard < heard + 3:
                    await asyncio.sleep(0.01)
        except (SignallingError, aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            self.refusals.append(f"{caller.call_id[:4]}: {repr(error)[:100]}")
            await peer.close()
            return False
        return True


async def insist(exchange: HttpExchange, offer: str) -> str:
    """Send an offer up to three times, a second apart, as web/offer.js does: whoever has got it may be dead.

    Raises:
        SignallingError, aiohttp.ClientError: what the first answer was.
        TimeoutError: there was none.
    """
    attempts: set[asyncio.Task[str]] = set()
    try:
        for _ in range(ATTEMPTS):
            attempts.add(asyncio.create_task(exchange(offer)))
            done, _ = await asyncio.wait(
                attempts, timeout=RETRY_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                return done.pop().result()
        raise TimeoutError
    finally:
        for attempt in attempts:
            attempt.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)
