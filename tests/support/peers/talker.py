"""A browser that always sends: speech when it has some to say, else silence."""

import asyncio

import numpy as np
from numpy.typing import NDArray

from tests.support.packets.opus_packets import encode
from tests.support.peers.light_peer import LightPeer
from tests.support.sound.speech_compare import tone

QUIET, SPEECH = encode(0 * tone(1)), encode(tone(1))


class Talker(LightPeer):
    """Sends a packet every 20 ms: those that it has to say, or silence."""

    def __init__(self, *, ssrc: int) -> None:
        super().__init__(ssrc=ssrc)
        self.says: list[bytes] = []

    def say(self, seconds: float) -> None:
        self.says += SPEECH[: round(seconds * 50)]

    async def answer(self, sound: NDArray[np.float64]) -> None:
        self.says += encode(sound.astype(np.int16))

    async def talk(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self.send(self.says.pop(0) if self.says else QUIET[-1])
            due += 0.02
            await asyncio.sleep(max(0.0, due - loop.time()))
