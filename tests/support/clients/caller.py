"""A caller whose voice and ears a test has: a far leg that rings the line."""

import asyncio
from typing import Any

import numpy as np
from typing_extensions import override

from bridge.audio.frame import FRAME_SAMPLES, SAMPLE_RATE, Frame
from bridge.call.events import DigitReceived, LegConnected, LegEnded
from bridge.call.model import EndReason, LegKind, LineName
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner
from tests.support.fake_leg import FakeLeg

VOICE = (
    (8000 * np.sin(2 * np.pi * 300 * np.arange(FRAME_SAMPLES) / SAMPLE_RATE))
    .astype("<i2")
    .tobytes()
)
"""20 ms."""


class Caller(FakeLeg):
    """Is connected as soon as it is answered."""

    def __init__(self, kind: LegKind = LegKind.SIMULATOR) -> None:
        super().__init__("caller", kind)
        self._pts = 0

    @override
    def answer(self) -> None:
        super().answer()
        asyncio.get_running_loop().call_soon(lambda: self.emit(LegConnected(self.leg_id)))

    async def say(self, seconds: float, pcm: bytes = VOICE) -> None:
        """Speak for some seconds."""
        for _ in range(round(seconds / 0.02)):
            if self.to is not None:
                self.to(Frame(pcm, self._pts, 1), asyncio.get_running_loop().time())
            self._pts += FRAME_SAMPLES
            await asyncio.sleep(0.02)

    def press(self, digit: str) -> None:
        self.emit(DigitReceived(self.leg_id, digit))

    def hang_up(self) -> None:
        self.emit(LegEnded(self.leg_id, EndReason.REMOTE_HANGUP))

    def hears(self, hertz: float) -> bool:
        """Whether a tone of a frequency was in what it was sent."""
        return any(_has(frame.pcm, hertz) for frame in self.heard)


def _has(pcm: bytes, hertz: float) -> bool:
    wave = np.frombuffer(pcm, "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(wave))
    return bool(spectrum.max() > 1e4 and abs(np.argmax(spectrum) * 50 - hertz) <= 25)


async def call_in(
    manager: Manager, line: str = "demo", number: str = "15550100002", **more: Any
) -> tuple[Caller, CallRunner]:
    """Let a caller ring a line."""
    caller = Caller(**more)
    runner = await manager.receive(LineName(line), number, caller)
    await asyncio.sleep(0)
    return caller, runner
