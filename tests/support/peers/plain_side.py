"""Peers of plain RTP on loopback that call each other, and what they hear."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from bridge.audio.codec.codec import CODECS, Codec
from bridge.audio.frame import Frame
from bridge.rtc.config import PeerConfig, Timeouts
from bridge.rtc.plain_peer import PlainPeer
from bridge.rtc.ports import PortPool
from bridge.rtc.rtp_source import RtpSource
from bridge.wire.sdp.rtp import Security
from tests.support.machine import free_port
from tests.support.packets.packet_path import AFTER_THE_TEST, packet_path, threads_at_work
from tests.support.peers.bridge_peer import opus
from tests.support.sip.telephone import share
from tests.support.virtual_time import VirtualTimeLoop, monotonic
from tests.support.waiting import until


def pool(pairs: int = 4) -> PortPool:
    even = {free_port() & ~1 for _ in range(pairs)}
    return PortPool([port + more for port in even for more in (0, 1)])


class Side:
    """A peer, and what it hears."""

    def __init__(
        self,
        *codecs: Codec,
        security: Security = "off",
        bind: tuple[str, ...] = ("127.0.0.1",),
        ports: PortPool | None = None,
        external: str = "",
    ) -> None:
        self.pool = ports or pool()
        self.codecs = codecs
        if (path := packet_path(opus(), monotonic)) is not None:
            AFTER_THE_TEST.append(path.close)
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualTimeLoop)
            loop.stand_still_while(threads_at_work)
        self.digits: list[str] = []
        self.frames: list[Frame] = []
        self.peer = PlainPeer(
            config=PeerConfig(
                bind=bind,
                ports=self.pool,
                external_address=external,
                timeouts=Timeouts(clock=monotonic),
                packet_path=path,
            ),
            opus=opus(),
            codecs=codecs or CODECS,
            security=security,
            on_digit=self.digits.append,
            source=RtpSource(signaller=lambda: "127.0.0.1"),
        )
        self.peer.session.attach(lambda frame, _: self.frames.append(frame))

    def heard(self, last: int = 25) -> np.ndarray[Any, Any]:
        return np.frombuffer(b"".join(frame.pcm for frame in self.frames[-last:]), np.int16)

    async def say(self, frequency: float, count: int) -> None:
        times = np.arange(320 * count) / 16_000
        wave = (8000 * np.sin(2 * np.pi * frequency * times)).astype(np.int16).tobytes()
        self.peer.session.start_sending(monotonic())
        epoch = object()
        for index in range(count):
            frame = Frame(wave[640 * index : 640 * (index + 1)], 320 * index, epoch)
            self.peer.session.push(frame, monotonic())
            await asyncio.sleep(0.02)


@asynccontextmanager
async def agreed(caller: Side, callee: Side) -> AsyncIterator[None]:
    """Let one call the other; nothing may be left of either."""
    try:
        callee.peer.set_remote(await caller.peer.create_offer())
        caller.peer.set_answer(await callee.peer.create_answer())
        yield
    finally:
        for side in (caller, callee):
            await side.peer.aclose()
            await side.peer.aclose()
            assert side.pool.used == 0


async def check_audio(caller: Side, callee: Side) -> None:
    await asyncio.gather(caller.say(440, 50), callee.say(880, 50))
    await until(lambda: len(callee.frames) > 45 and len(caller.frames) > 45)
    assert share(callee.heard(), 440, rate=16_000) > 0.98
    assert share(caller.heard(), 880, rate=16_000) > 0.98
