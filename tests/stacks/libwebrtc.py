"""A caller made of libwebrtc (PyPI's `wrtc`); its commands stand in tests/stacks/caller.py."""

import asyncio
import base64
import sys
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
import webrtc
from scipy.signal import resample_poly

from tests.stacks.program import pcm, serve, without_candidates
from tests.support.peers.libwebrtc_peer import RATE, LibwebrtcPeer
from tests.support.waiting import until

POLICIES = {"bundled": "max-bundle", "balanced": "balanced", "separate": "max-compat"}


class Caller:
    """One peer, opened by a command."""

    def __init__(self, sound: Any) -> None:
        self._sound = sound
        self._stack = AsyncExitStack()
        self._dtx = False

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
        dtx: bool = False,
        **more: Any,
    ) -> dict[str, Any] | None:
        if more.get("semantics") == "plan-b":
            return {"cannot": "it speaks Unified Plan only"}
        self._dtx = dtx
        relayed = {}
        if relay:
            server = webrtc.RTCIceServer(**relay)
            relayed = {"ice_servers": [server], "ice_transport_policy": "relay"}
        self.peer = await self._stack.enter_async_context(
            LibwebrtcPeer.open(
                "rsa" if certificate == "rsa" else "ecdsa",
                lines=lines,
                sound=self._sound,
                camera=bool(more.get("camera")),
                bundle_policy=POLICIES[bundle],
                **relayed,
            )
        )
        return None

    async def offer(self, restart: bool = False, trickle: bool = False, **_: Any) -> dict[str, Any]:
        sdp = await self.peer.offer(restart=restart)
        return {"sdp": without_candidates(sdp) if trickle else sdp}

    async def accept(self, sdp: str, **_: Any) -> None:
        await self.peer.accept(sdp.replace("usedtx=0", "usedtx=1") if self._dtx else sdp)
        await self.peer.wait_connected()

    async def hold(self, held: bool) -> None:
        self.peer.transceiver.direction = "inactive" if held else "sendrecv"

    async def mute(self, muted: bool) -> None:
        self.peer.microphone.enabled = not muted

    async def press(self, digit: str) -> None:
        sender = self.peer.transceiver.sender.dtmf
        assert sender is not None
        await until(lambda: sender.can_insert_dtmf)
        sender.insert_dtmf(digit, 100, 50)

    async def hear(self, seconds: float) -> dict[str, Any]:
        offset, samples = await self.peer.listen(seconds)
        sound = (np.clip(samples, -1, 1) * 32767).astype("<i2")
        return {"offset": offset, "rate": RATE, "pcm": base64.b64encode(sound.tobytes()).decode()}

    async def close(self) -> None:
        await self._stack.aclose()


if __name__ == "__main__":
    said = np.clip(resample_poly(pcm(sys.argv[1]).astype(float), 3, 1), -32768, 32767)
    asyncio.run(serve(Caller(said.astype(np.int16)).run))
