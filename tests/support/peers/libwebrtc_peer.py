"""libwebrtc (PyPI's `wrtc`) as a browser: a sound over and over as its microphone, samples as its ear."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, Literal, TypeAlias

import numpy as np
import webrtc
from numpy.typing import NDArray

from tests.support.peers.signalling import Exchange

RATE = 48_000
STEP = RATE // 100
TONE = 440.0
PICTURE = 320, 240

CertificateKind: TypeAlias = Literal["ecdsa", "rsa"]


class LibwebrtcPeer:
    """One `RTCPeerConnection` of libwebrtc that speaks a tone and listens.

    Use as `async with LibwebrtcPeer.open() as peer: await peer.call(exchange)`.
    """

    def __init__(
        self,
        configuration: webrtc.RTCConfiguration,
        lines: Sequence[str],
        sound: NDArray[np.int16],
        *,
        camera: bool = False,
    ) -> None:
        self.connection = webrtc.RTCPeerConnection(configuration)
        self.microphone = webrtc.MediaStreamTrackGenerator("audio")
        self.camera = webrtc.MediaStreamTrackGenerator("video") if camera else None
        self._sound = sound
        for line in lines:
            if line == "audio":
                self.transceiver = self.connection.add_transceiver(self.microphone)
            elif line == "video" and self.camera is not None:
                self.connection.add_transceiver(self.camera)
            elif line == "video":
                listening = webrtc.RTCRtpTransceiverInit(direction="recvonly")
                self.connection.add_transceiver("video", listening)
            else:
                self.connection.create_data_channel("chat")
        self.began = 0.0
        """When it began to speak (the loop's time)."""
        self._heard: list[NDArray[np.float32]] = []
        self._heard_since = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        certificate: CertificateKind = "ecdsa",
        *,
        lines: Sequence[str] = ("audio",),
        sound: NDArray[np.int16] | None = None,
        camera: bool = False,
        **configuration: Any,
    ) -> AsyncIterator["LibwebrtcPeer"]:
        """Make one and close it afterwards.

        Args:
            certificate: Its kind.
            lines: The media lines that it offers, in order: `audio`, `video`, `data`.
            sound: What it says over and over (mono at 48 kHz, a multiple of 10 ms); None for a tone.
            camera: Whether it sends video, if the line may.
            configuration: Further members of `RTCConfiguration`.
        """
        with suppress(webrtc.InvalidStateError):  # it has been allowed already
            webrtc.allow_loopback()
        made = await webrtc.RTCPeerConnection.generate_certificate(_algorithm(certificate))
        chosen = webrtc.RTCConfiguration(certificates=[made], **configuration)
        peer = cls(chosen, lines, _tone() if sound is None else sound, camera=camera)
        try:
            yield peer
        finally:
            for task in peer._tasks:
                task.cancel()
            await asyncio.gather(*peer._tasks, return_exceptions=True)
            peer.connection.close()

    async def offer(self, *, restart: bool = False) -> str:
        """Make an offer with all candidates in it."""
        options = webrtc.RTCOfferOptions(ice_restart=restart)
        await self.connection.set_local_description(await self.connection.create_offer(options))
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
        await self.wait_connected()

    async def wait_connected(self) -> None:
        """Wait for the connection; the first time, begin to speak and to listen."""
        async with asyncio.timeout(10):
            while self.connection.connection_state != "connected":
                assert self.connection.connection_state != "failed", "libwebrtc did not connect"
                await asyncio.sleep(0.01)
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._speak()), asyncio.create_task(self._listen())]
            if self.camera is not None:
                self._tasks.append(asyncio.create_task(self._film(self.camera)))

    async def hear(self, seconds: float) -> NDArray[np.float32]:
        """Return what is heard from now on for so long (mono at 48 kHz, -1 to 1)."""
        self._heard.clear()
        async with asyncio.timeout(10 + seconds):
            while len(self._heard) < seconds * 100:
                await asyncio.sleep(0.01)
        return np.concatenate(self._heard)

    async def listen(self, seconds: float) -> tuple[float, NDArray[np.float32]]:
        """Return what comes out in so many seconds, perhaps nothing, and when it began to come.

        The time is in seconds since it began to speak.
        """
        self._heard.clear()
        await asyncio.sleep(seconds)
        heard = np.concatenate([np.zeros(0, np.float32), *self._heard])
        return self._heard_since - self.began, heard

    async def _speak(self) -> None:
        writer = self.microphone.writable.get_writer()
        self.began = asyncio.get_running_loop().time()
        steps = self._sound.reshape(-1, STEP)
        for number in count():
            samples = steps[number % len(steps)].tobytes()
            await writer.write(
                webrtc.AudioData(
                    webrtc.AudioDataInit("s16", RATE, STEP, 1, number * 10_000, samples)
                )
            )
            wait = self.began + (number + 1) / 100 - asyncio.get_running_loop().time()
            await asyncio.sleep(wait)

    async def _film(self, camera: webrtc.MediaStreamTrackGenerator) -> None:
        writer = camera.writable.get_writer()
        for number in count():
            noise = np.random.default_rng(number).bytes(PICTURE[0] * PICTURE[1] * 3 // 2)
            made = webrtc.VideoFrameBufferInit("I420", *PICTURE, number * 33_333)
            await writer.write(webrtc.VideoFrame(noise, made))
            await asyncio.sleep(1 / 30)

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
            if not self._heard:
                self._heard_since = asyncio.get_running_loop().time() - 0.01
            self._heard.append(np.frombuffer(bytes(samples), np.float32))


def _tone() -> NDArray[np.int16]:
    moments = np.arange(RATE) / RATE
    return (9000 * np.sin(2 * np.pi * TONE * moments)).astype(np.int16)


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
