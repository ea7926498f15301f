"""A caller made of aiortc as it is published; its commands stand in tests/stacks/caller.py."""

import asyncio
import base64
import sys
from typing import Any

import numpy as np
from aiortc import RTCBundlePolicy, RTCIceServer, RTCIceTransportPolicy, VideoStreamTrack

from tests.stacks.program import pcm, serve, without_candidates
from tests.support.peers.stock_peer import RATE, StockPeer
from tests.support.virtual_time import monotonic

POLICIES = {
    "bundled": RTCBundlePolicy.MAX_BUNDLE,
    "balanced": RTCBundlePolicy.BALANCED,
    "separate": RTCBundlePolicy.MAX_COMPAT,
}


class Caller:
    """One peer, opened by a command."""

    def __init__(self, sound: Any, address: str) -> None:
        self._sound, self._address = sound, address
        self._directions: list[str] = []

    async def run(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Run a command."""
        reply: dict[str, Any] | None = await getattr(self, name)(**options)
        return reply or {}

    async def open(
        self,
        lines: list[str],
        bundle: str,
        certificate: str | None = None,
        relay: dict[str, str] | None = None,
        **more: Any,
    ) -> dict[str, Any] | None:
        if more.get("semantics") == "plan-b":
            return {"cannot": "it speaks Unified Plan only"}
        if certificate == "rsa":
            return {"cannot": "it makes ECDSA certificates only"}
        configuration: dict[str, Any] = {"bundlePolicy": POLICIES[bundle]}
        if relay:
            configuration["iceServers"] = [RTCIceServer(**relay)]
            configuration["iceTransportPolicy"] = RTCIceTransportPolicy.RELAY
        self.peer = StockPeer(
            self._sound,
            repeat=True,
            host=self._address,
            lines=lines,
            camera=VideoStreamTrack() if more.get("camera") else None,
            **configuration,
        )
        return None

    async def offer(self, restart: bool = False, trickle: bool = False, **_: Any) -> dict[str, Any]:
        if restart:
            return {"cannot": "aiortc has no ICE restart"}
        sdp = await self.peer.offer()
        return {"sdp": without_candidates(sdp) if trickle else sdp}

    async def accept(self, sdp: str, wait: bool = True) -> None:
        await self.peer.accept(sdp)
        if wait:
            await self.peer.wait_connected()

    async def hold(self, held: bool) -> None:
        self.peer._transceiver.direction = "inactive" if held else "sendrecv"

    async def mute(self, muted: bool) -> None:
        self.peer.microphone.say(self._sound * 0 if muted else self._sound)

    async def press(self, digit: str) -> dict[str, Any]:
        return {"cannot": "aiortc has no telephone-event", "digit": digit}

    async def hear(self, seconds: float) -> dict[str, Any]:
        ear, begun = self.peer.ear, self.peer.microphone.started
        first, since = len(ear.pcm()), monotonic()
        await asyncio.sleep(seconds)
        at = next((at for at, before in ear.times if before >= first), since) - 0.02
        mixed = ear.pcm()[first:] * np.sqrt(2)  # the mean of two like channels is 3 dB lower
        sound = np.clip(mixed, -32768, 32767).astype("<i2")
        offset = at - (begun or at)
        return {"offset": offset, "rate": RATE, "pcm": base64.b64encode(sound.tobytes()).decode()}

    async def close(self) -> None:
        await self.peer.close()


if __name__ == "__main__":
    asyncio.run(serve(Caller(pcm(sys.argv[1]), sys.argv[2]).run))
