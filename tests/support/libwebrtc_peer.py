"""libwebrtc (PyPI's `wrtc`) as a browser on loopback: a tone as its microphone, samples as its ear."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Literal, TypeAlias

import numpy as np
import webrtc
from numpy.typing import NDArray

from tests.support.signalling import Exchange

RATE = 48_000
STEP = RATE // 100
TONE = 440.0

CertificateKind: TypeAlias = Literal["ecdsa", "rsa"]


class LibwebrtcPeer:
    """One `RTCPeerConnection` of libwebrtc that speaks a tone and listens.

    Use as `async with LibwebrtcPeer.open() as peer: await peer.call(exchange)`.
    """

    def __init__(self, certificate: webrtc.RTCCertificate) -> None:
        self.connection = webrtc.RTCPeerConnection(
            webrtc.RTCConfiguration(certificates=[certificate])
        )
        self._microphone = webrtc.MediaStreamTrackGenerator("audio")
        self.transceiver = self.connection.add_transceiver(self._microphone)
        self._heard: list[NDArray[np.float32]] = []
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, certificate: CertificateKind = "ecdsa") -> AsyncIterator["LibwebrtcPeer"]:
        """Make one with a certificate of this kind and close it afterwards."""
        with suppress(webrtc.InvalidStateError):  # it has been allowed already
            webrtc.allow_loopback()
        peer = cls(await webrtc.RTCPeerConnection.generate_certificate(_algorithm(certificate)))
        try:
            yield peer
        finally:
            for task in peer._tasks:
                task.cancel()
            await asyncio.gather(*peer._tasks, return_exceptions=True)
            peer.connection.close()

    async def offer(self) -> str:
        """Make an offer with all candidates in it."""
        await self.connection.set_local_description(await self.connection.create_offer())
        async with asyncio.timeout(10):
            while self.connection.ice_gathering_state != "complete":
                await asyncio.sleep(0.01)
        assert self.connection.local_description is not None
        return self.connection.local_description.sdp

    async def accept(self, answer: str) -> None:
        """Take an answer."""
        await self.connection.set_remote_description(
            webrtc.RTCSessionDescription(type="answer", sdp=answer)
        )

    async def call(self, exchange: Exchange) -> None:
        """Offer, take the answer, wait for the connection; the first time, begin to speak."""
        await self.accept(await exchange(await self.offer()))
        async with asyncio.timeout(10):
            while self.connection.connection_state != "connected":
                assert self.connection.connection_state != "failed", "libwebrtc did not connect"
                await asyncio.sleep(0.01)
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._speak()), asyncio.create_task(self._listen())]

    async def hear(self, seconds: float) -> NDArray[np.float32]:
        """Return what is heard from now on for so long (mono at 48 kHz, -1 to 1)."""
        self._heard.clear()
        async with asyncio.timeout(10 + seconds):
            while len(self._heard) < seconds * 100:
                await asyncio.sleep(0.01)
        return np.concatenate(self._heard)

    async def _speak(self) -> None:
        writer = self._microphone.writable.get_writer()
        begun = asyncio.get_running_loop().time()
        for number in count():
            moments = np.arange(number * STEP, (number + 1) * STEP) / RATE
            samples = (9000 * np.sin(2 * np.pi * TONE * moments)).astype(np.int16)
            await writer.write(
                webrtc.AudioData(
                    webrtc.AudioDataInit("s16", RATE, STEP, 1, number * 10_000, samples.tobytes())
                )
            )
            await asyncio.sleep(begun + number / 100 - asyncio.get_running_loop().time())

    async def _listen(self) -> None:
        track = self.transceiver.receiver.track
        assert track is not None
        processor = webrtc.MediaStreamTrackProcessor(webrtc.MediaStreamTrackProcessorInit(track))
        async for data in processor.readable:
            assert isinstance(data, webrtc.AudioData)
            wanted = webrtc.AudioDataCopyToOptions(plane_index=0, format="f32-planar")
            samples = bytearray(data.allocation_size(wanted))
            data.copy_to(samples, wanted)
            data.close()
            self._heard.append(np.frombuffer(bytes(samples), np.float32))


def tone_level(heard: NDArray[np.float32]) -> float:
    """Tell the amplitude of the tone in what was heard, 0 to 1."""
    if not len(heard):
        return 0.0
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) * 4 / len(heard)
    around = round(TONE * len(heard) / RATE)
    return float(spectrum[max(0, around - 5) : around + 6].max())


def _algorithm(kind: CertificateKind) -> str | webrtc.RsaHashedKeyGenParams:
    if kind == "ecdsa":
        return "ECDSA"
    return webrtc.RsaHashedKeyGenParams(
        "RSASSA-PKCS1-v1_5",
        modulus_length=2048,
        public_exponent=bytes([1, 0, 1]),
        hash="SHA-256",
    )
