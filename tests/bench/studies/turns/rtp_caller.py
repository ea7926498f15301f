"""The study of turns with a caller that is a WebRTC peer far away: its packets are lost and delayed, both ways.

What it hears is decoded offline, and played as a jitter buffer of a fixed depth plays it. The way from the caller to the bridge
is no part of a wait, and is known here; the way back is what `toCaller` has to tell.
"""

import asyncio
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from typing_extensions import override

from bridge.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, SAMPLE_RATE
from tests.bench.studies.turns.sound import Sound, first_voice
from tests.support.inprocess import Client
from tests.support.peers.light_peer import Address, Arrival, LightPeer

LOSS = 0.02
JITTER = 0.015
"""Seconds at most, of each packet; less than a frame, so that they stay in order."""
BUFFER_SECONDS = 0.06
"""Between the earliest packets of the last seconds and their playout."""
WINDOW_SECONDS = 3.0
CLOCK_RATE = 48_000
_REPORT = struct.Struct("!BBHIIIIIII")
_MIN_SR = 28


class DelayingLink:
    """A socket at the end of a slow network, for `LightPeer`: media may be lost, everything is delayed."""

    def __init__(self, delay: float, chance: np.random.Generator) -> None:
        """`delay` is in seconds, each way, to which the jitter comes."""
        self._delay = delay
        self._chance = chance
        self._loop = asyncio.get_running_loop()

    async def open(
        self, factory: Callable[[], asyncio.DatagramProtocol], address: Address
    ) -> tuple[Any, asyncio.DatagramProtocol]:
        """Open it (`light_peer.Endpoint`)."""
        inner = factory()
        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: _Delayed(inner, self), local_addr=address
        )
        delaying = _DelayingTransport(transport, self)
        inner.connection_made(cast("asyncio.DatagramTransport", delaying))
        return delaying, inner

    def pass_on(self, data: bytes, deliver: Callable[[], object]) -> None:
        media = 127 < data[0] < 192
        if not (media and self._chance.random() < LOSS):
            self._loop.call_later(self._delay + self._chance.uniform(0, JITTER), deliver)


class _Delayed(asyncio.DatagramProtocol):
    def __init__(self, inner: asyncio.DatagramProtocol, link: DelayingLink) -> None:
        self._inner, self._link = inner, link

    @override
    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._link.pass_on(data, lambda: self._inner.datagram_received(data, addr))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)


class _DelayingTransport:
    def __init__(self, transport: asyncio.DatagramTransport, link: DelayingLink) -> None:
        self._transport, self._link = transport, link

    def sendto(self, data: bytes, addr: Any = None) -> None:
        def deliver() -> None:
            if not self._transport.is_closing():
                self._transport.sendto(data, addr)

        self._link.pass_on(data, deliver)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class RtpCaller(LightPeer):
    """A caller whose sound is recorded, both ways, and that reports what a browser reports."""

    def __init__(self, seed: int, delay: float) -> None:
        self.chance = np.random.default_rng(seed)
        self.noise_rms = 0.0
        self.upstream = delay
        """Seconds from its mouth to the bridge."""
        super().__init__(endpoint=DelayingLink(delay, self.chance).open)
        self.on_packet = self._play
        self._encoder = _encoder()
        self._decoder = av.CodecContext.create("libopus", "r")
        self._decoder.sample_rate, self._decoder.layout = CLOCK_RATE, "mono"
        self._encoded = 0
        self._transits: deque[tuple[float, float]] = deque()
        self._waits: list[float] = []
        self.ears: list[tuple[float, bytes]] = []

    @asynccontextmanager
    async def reporting(self, client: Client, call_id: str, leg_id: str) -> AsyncIterator[None]:
        """Report the depth of the jitter buffer each second."""

        async def report() -> None:
            while True:
                await asyncio.sleep(1.0)
                waits, self._waits = self._waits, []
                if waits:
                    body = {"legID": leg_id, "jitterBufferMs": 1000 * np.mean(waits)}
                    await client.post(f"/call/{call_id}/report", body)

        task = asyncio.create_task(report())
        try:
            yield
        finally:
            task.cancel()

    async def speak_sound(self, sound: Sound) -> float:
        """Send a sound; return when its first sample was said."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(len(sound) // FRAME_SAMPLES):
            part = sound[number * FRAME_SAMPLES :][:FRAME_SAMPLES]
            await asyncio.sleep(max(0.0, began + (number + 1) * FRAME_SECONDS - loop.time()))
            for packet in self._encode(np.clip(part, -32768, 32767).astype("<i2")):
                self.send(packet)
        return began

    def noise(self, seconds: float) -> Sound:
        return self.chance.normal(0, self.noise_rms, round(seconds * SAMPLE_RATE))

    def heard_from(self, after: float) -> float:
        """Return when the first voice after a time was heard."""
        return first_voice(self.ears, after)

    def _encode(self, pcm: Any) -> list[bytes]:
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
        frame.pts, self._encoded = self._encoded, self._encoded + FRAME_SAMPLES
        return [bytes(packet) for packet in self._encoder.encode(frame)]

    def _play(self, packet: Arrival) -> None:
        """Decode a packet, and note when a jitter buffer plays it."""
        position, transits = packet.timestamp / CLOCK_RATE, self._transits
        transits.append((packet.time, packet.time - position))
        while transits[0][0] < packet.time - WINDOW_SECONDS:
            transits.popleft()
        base = min(transit for _, transit in transits)
        at = max(packet.time, position + base + BUFFER_SECONDS)
        self._waits.append(at - packet.time)
        for frame in self._decoder.decode(av.Packet(packet.payload)):
            sound: Any = frame.to_ndarray().reshape(-1)[:: CLOCK_RATE // SAMPLE_RATE]
            if sound.dtype != np.int16:
                sound = np.clip(sound * 32768, -32768, 32767)
            self.ears.append((at, sound.astype("<i2").tobytes()))

    @override
    def receive(self, data: bytes) -> None:
        known = len(self.rtcp)
        super().receive(data)
        if len(self.rtcp) > known:
            self._answer(self.rtcp[-1])

    def _answer(self, report: bytes) -> None:
        """Answer a sender report at once (RFC 3550 §6.4.2), from which the bridge knows the round trip."""
        if report[1] != 200 or len(report) < _MIN_SR:
            return
        sender = int.from_bytes(report[4:8], "big")
        last = int.from_bytes(report[10:14], "big")
        self.send_rtcp(_REPORT.pack(0x81, 201, 7, self.ssrc, sender, 0, 0, 0, last, 0))


def _encoder() -> av.AudioCodecContext:
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout = SAMPLE_RATE, "mono"
    encoder.format, encoder.bit_rate = av.AudioFormat("s16"), 24_000
    encoder.options = {"application": "voip", "frame_duration": "20"}
    return encoder
