"""A stock aiortc `RTCPeerConnection` as the independent browser in tests.

It shares no code with the bridge: aiortc's own SDP, jitter buffer and Opus. Its receiver holds
every packet back for 80 ms (280 ms after a loss) and never conceals, so use it to prove that two
sides understand each other and what is heard; the exact time and place of single packets is for
`tests.support.peers.light_peer`.
"""

import asyncio
import queue
import time
import wave
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import av
import numpy as np
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    clock,
    rtcrtpreceiver,
    rtcrtpsender,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray
from scipy.signal import resample_poly
from typing_extensions import override

from tests.support.peers.signalling import Exchange
from tests.support.virtual_time import VirtualTimeLoop, monotonic

Pcm: TypeAlias = NDArray[np.int16]
"""Mono samples at 16 kHz."""

RATE = 16_000
_WIRE_RATE = 48_000
_WIRE_FRAME = 960


def wall_time() -> float:
    """Return Unix time; where time is virtual it goes on with the loop's."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # a decoder's thread
        return time.time()
    return 1.8e9 + loop.time() if isinstance(loop, VirtualTimeLoop) else time.time()


def _follow_virtual_time() -> None:
    """Let aiortc's reports tell delays on the same clock as everything else."""
    modules: tuple[Any, ...] = (rtcrtpreceiver, rtcrtpsender)
    for module in modules:
        module.time = SimpleNamespace(time=wall_time)
    vars(clock)["current_datetime"] = lambda: datetime.fromtimestamp(wall_time(), UTC)


_follow_virtual_time()


def read_wav(path: Path | str) -> Pcm:
    """Read a mono 16-bit WAV of 16 kHz."""
    with wave.open(str(path), "rb") as file:
        form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        assert form == (1, 2, RATE), f"{path}: expected mono, 16 bit, 16 kHz, got {form}"
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").copy()


class _DecoderQueue(queue.Queue[Any]):
    """What is to be decoded by the receiver's thread, which comes back for more when it is done."""

    def __init__(self) -> None:
        super().__init__()
        self.added = self.taken = self.done = 0

    @property
    def busy(self) -> bool:
        """Whether the thread has not yet done all of it."""
        return self.added > self.done

    @override
    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        self.added += item is not None  # which ends the thread
        super().put(item, block, timeout)

    @override
    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        self.done = self.taken
        item = super().get(block, timeout)
        self.taken += 1
        return item


class Microphone(MediaStreamTrack):
    """Says `speech` once (or over and over) in real time, then silence.

    The speech is brought to 48 kHz beforehand: aiortc's encoder holds frames of another rate back
    by one frame.
    """

    kind = "audio"

    def __init__(self, speech: Pcm, *, repeat: bool) -> None:
        super().__init__()
        self._repeat = repeat
        self.say(speech)
        self._silence = np.zeros((1, _WIRE_FRAME), dtype=np.int16)
        self._sent = 0
        self.started: float | None = None
        """When the first sample left (monotonic seconds)."""

    def say(self, speech: Pcm) -> None:
        """Say something else from now on."""
        wide = resample_poly(speech.astype(np.float64), _WIRE_RATE // RATE, 1)
        count = -(-len(wide) // _WIRE_FRAME)
        padded = np.zeros(count * _WIRE_FRAME, dtype=np.int16)
        padded[: len(wide)] = np.clip(np.rint(wide), -32768, 32767)
        self._frames = padded.reshape(count, 1, _WIRE_FRAME)

    @override
    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        now = monotonic()
        if self.started is None:
            self.started = now
        await asyncio.sleep(max(0.0, self.started + self._sent * 0.02 - now))
        frame = av.AudioFrame.from_ndarray(self._next(), format="s16", layout="mono")
        frame.sample_rate = _WIRE_RATE
        frame.pts = self._sent * _WIRE_FRAME
        frame.time_base = Fraction(1, _WIRE_RATE)
        self._sent += 1
        return frame

    def _next(self) -> NDArray[np.int16]:
        count = len(self._frames)
        if count == 0 or (self._sent >= count and not self._repeat):
            return self._silence
        chosen: NDArray[np.int16] = self._frames[self._sent % count]
        return chosen


class Ear:
    """Everything that was heard, at 16 kHz, with the time at which each piece came out."""

    def __init__(self) -> None:
        self._pieces: list[Pcm] = []
        self.times: list[tuple[float, int]] = []
        """(monotonic seconds, samples heard before): one for every frame."""
        self._samples = 0
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)

    @property
    def seconds(self) -> float:
        """How much was heard."""
        return self._samples / RATE

    @property
    def started(self) -> float | None:
        """When the first sample came out (monotonic seconds)."""
        return self.times[0][0] if self.times else None

    def pcm(self) -> Pcm:
        """Everything heard until now."""
        return np.concatenate(self._pieces) if self._pieces else np.zeros(0, dtype=np.int16)

    def take(self, frame: av.AudioFrame, now: float) -> None:
        """Append one decoded frame of any rate and layout."""
        for part in self._resampler.resample(frame):
            piece = part.to_ndarray().reshape(-1).astype(np.int16)
            self.times.append((now, self._samples))
            self._pieces.append(piece)
            self._samples += len(piece)


class StockPeer:
    """One browser: makes an offer, speaks, listens.

    Use as `async with StockPeer(speech) as peer: await peer.call(exchange)`.

    Args:
        speech: What the microphone says (int16 mono 16 kHz); None is silence.
        repeat: Say it over and over.
        direction: Direction offered; with `recvonly` there is no microphone.
        host: The only address that ICE gathers; loopback works without any network.
        lines: The media lines that it offers, in order: `audio`, `video`, `data`.
        camera: Sends video, if the line may.
        configuration: What `RTCConfiguration` takes.
    """

    def __init__(
        self,
        speech: Pcm | None = None,
        *,
        repeat: bool = False,
        direction: str = "sendrecv",
        host: str = "127.0.0.1",
        lines: Sequence[str] = ("audio",),
        camera: MediaStreamTrack | None = None,
        **configuration: Any,
    ) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(**{"iceServers": [], **configuration}))
        self.ear = Ear()
        words = np.zeros(0, np.int16) if speech is None else speech
        self.microphone = Microphone(words, repeat=repeat)
        said: Any = "audio" if direction == "recvonly" else self.microphone
        for line in lines:
            if line == "audio":
                self._transceiver = self.connection.addTransceiver(said, direction=direction)
            elif line == "video":
                seen = "recvonly" if camera is None else "sendrecv"
                self.connection.addTransceiver(camera or "video", direction=seen)
            else:
                self.connection.createDataChannel("chat")
        self._dtls = self._transceiver.sender.transport
        _await_decoder(self._transceiver.receiver)
        for gatherer in self._gatherers():
            _gather_only(gatherer, host)
        self._connected = asyncio.Event()
        self._ended = asyncio.Event()
        self._hearing = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self.connection.on("track", self._on_track)
        self.connection.on("connectionstatechange", self._on_state)

    def _gatherers(self) -> list[Any]:
        """Return those of all lines, which are as many as there are transports."""
        connection = self.connection
        senders = [each.sender for each in connection.getTransceivers()]
        transports = [sender.transport for sender in senders]
        if connection.sctp is not None:
            transports.append(connection.sctp.transport)
        return [transport.transport.iceGatherer for transport in transports]

    async def __aenter__(self) -> "StockPeer":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def offer(self) -> str:
        """Make the offer, all candidates in it."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def accept(self, answer: str) -> None:
        """Take the answer; the connection is made in the background."""
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def call(self, exchange: Exchange, *, timeout: float = 10.0) -> None:
        """Offer, take the answer and wait until media can flow."""
        await self.accept(await exchange(await self.offer()))
        await self.wait_connected(timeout)

    async def wait_connected(self, timeout: float = 10.0) -> None:
        """Wait for ICE and DTLS.

        Raises:
            TimeoutError: not connected in time.
        """
        async with asyncio.timeout(timeout):
            await self._connected.wait()

    async def wait_heard(self, seconds: float, *, timeout: float = 20.0) -> None:
        """Wait until this much sound was heard since the beginning.

        Raises:
            TimeoutError: less was heard.
        """
        async with asyncio.timeout(timeout):
            while self.ear.seconds < seconds:
                self._hearing.clear()
                await self._hearing.wait()

    async def wait_ended(self, timeout: float = 10.0) -> None:
        """Wait until the other side has closed, or the connection was lost."""
        async with asyncio.timeout(timeout):
            await self._ended.wait()

    @property
    def connected(self) -> bool:
        """Whether media can flow now."""
        return self.connection.connectionState == "connected"

    def heard(self) -> Pcm:
        """Everything heard until now (int16 mono 16 kHz)."""
        return self.ear.pcm()

    async def send_raw(self, packet: bytes) -> None:
        """Protect and send one RTP or RTCP packet as it is (a digit, a BYE, nonsense)."""
        await self._dtls._send_rtp(packet)

    async def close(self) -> None:
        """Send close_notify (DTLS) and free everything."""
        self.microphone.stop()
        await self.connection.close()
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._listening = asyncio.create_task(self._listen(track))

    def _on_state(self) -> None:
        state = self.connection.connectionState
        if state == "connected":
            self._connected.set()
        elif state in ("closed", "failed"):
            self._ended.set()

    async def _listen(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, av.AudioFrame):
                    self.ear.take(frame, monotonic())
                    self._hearing.set()


def _await_decoder(receiver: Any) -> None:
    """Let a virtual clock stand still while the receiver's thread decodes."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualTimeLoop):
        waiting = receiver._RTCRtpReceiver__decoder_queue = _DecoderQueue()
        loop.stand_still_while(lambda: waiting.busy)


def _gather_only(gatherer: Any, host: str) -> None:
    """Let an aiortc gatherer use one address instead of every interface but loopback."""
    connection = gatherer._connection
    gather = connection.get_component_candidates

    async def only(component: int, addresses: list[str], timeout: int = 5) -> Any:
        return await gather(component, [host], timeout)

    connection.get_component_candidates = only
