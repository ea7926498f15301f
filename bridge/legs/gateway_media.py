"""A gateway leg's sound: a source pulled by the clock, a steady sink, and the socket between."""

import asyncio
from collections import deque
from typing import Final

import aiohttp

from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES, FRAME_SECONDS, SILENCE, Frame
from bridge.audio.level import level
from bridge.audio.playout import Playout
from bridge.call.model import LegStatistics, ReceivedAudio, SentAudio
from bridge.wire.gateway import BufferStatus
from bridge.wire.media_format import MediaEncoder, MediaFormat, decode_samples

MIN_DELAY: Final = 0.06
MAX_DELAY: Final = 1.0
"""Seconds of what the engine sends that wait at most; the oldest go, and are counted."""
WAITING_SECONDS: Final = 0.24
"""Seconds of what the engine is sent that wait at most; the oldest go, and are counted."""


class GatewayMedia:
    """The source and the sink of a gateway leg.

    What comes is cut into frames and waits in a playout buffer, whose delay grows with the
    engine's jitter and comes back by itself. What goes leaves in whole messages as the clock gives
    frames, so one of 60 ms every 60 ms; while there is no socket it goes nowhere. Frames dropped
    on the way out are `SentAudio.dropped_frames`, on the way in `ReceivedAudio.late`.
    """

    steady = True

    def __init__(self, media: MediaFormat) -> None:
        self._media = media
        self._loop = asyncio.get_running_loop()
        self._playout = Playout(minimum=MIN_DELAY, maximum=MAX_DELAY)
        self._pts = 0
        self._rest = b""
        self._odd = b""
        self._outgoing = MediaEncoder(media)
        most = round(WAITING_SECONDS * 1000 / media.frame_milliseconds)
        self._waiting: deque[bytes] = deque(maxlen=most)
        self._wake = asyncio.Event()
        self._open = False
        self._paused_until = 0.0
        self._received = ReceivedCounts()
        self._said = SILENCE
        self._heard = SILENCE
        self._sent_messages = 0
        self._sent_bytes = 0
        self._dropped_frames = 0
        self.last_received: float | None = None
        """When sound last came, by the loop's clock; None before the first."""

    # The bus's side

    def pull(self) -> bytes | None:
        """Give the next frame of what the far party says."""
        pcm = self._playout.pull(self._loop.time())
        if pcm is not None:
            self._said = pcm
            self._received.frames += 1
        return pcm

    def push(self, frame: Frame, now: float) -> None:
        """Take a frame for the far party."""
        self._heard = frame.pcm
        if not self._open:
            return
        for message in self._outgoing.encode(frame.pcm):
            if len(self._waiting) == self._waiting.maxlen:
                self._dropped_frames += self._media.frame_milliseconds // 20
            self._waiting.append(message)
            self._wake.set()

    def statistics(self) -> LegStatistics:
        """Give the figures; one message counts as one packet."""
        counts, playout = self._received, self._playout
        return LegStatistics(
            received=ReceivedAudio(
                packets=counts.messages,
                bytes=counts.octets,
                frames=counts.frames,
                late=playout.late + playout.dropped,
                concealed_frames=playout.concealed,
                level_dbov=level(self._said),
            ),
            sent=SentAudio(
                packets=self._sent_messages,
                bytes=self._sent_bytes,
                dropped_frames=self._dropped_frames,
                level_dbov=level(self._heard),
            ),
        )

    # The socket's side

    def receive(self, data: bytes) -> None:
        """Take a message of sound of any length; samples cut in two go on in the next one."""
        now = self._loop.time()
        self.last_received = now
        self._received.messages += 1
        self._received.octets += len(data)
        data = self._odd + data
        whole = len(data) - len(data) % self._media.encoding.sample_bytes
        self._odd = data[whole:]
        pcm = self._rest + decode_samples(self._media.encoding, data[:whole])
        end = len(pcm) - len(pcm) % FRAME_BYTES
        self._rest = pcm[end:]
        for begin in range(0, end, FRAME_BYTES):
            frame = Frame(pcm[begin : begin + FRAME_BYTES], self._pts, self)
            self._playout.push(frame, now)
            self._pts += FRAME_SAMPLES

    def note_buffer(self, backlog: BufferStatus) -> None:
        """Hold back what we send while too much waits on the engine.

        It plays as fast as we speak, so that the wait is known even if it never tells of the end.
        """
        now = self._loop.time()
        if backlog.buffered >= backlog.pause:
            self._paused_until = now + max(FRAME_SECONDS, backlog.buffered - backlog.resume)
        elif backlog.buffered <= backlog.resume:
            self._paused_until = now

    async def send(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Send what is pushed until cancelled, or until the socket fails.

        Raises:
            OSError: the socket is gone.
        """
        self._waiting.clear()
        self._outgoing = MediaEncoder(self._media)
        self._odd = self._rest = b""
        self._paused_until = 0.0
        self._open = True
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting and self._loop.time() >= self._paused_until:
                    message = self._waiting.popleft()
                    await socket.send_bytes(message)
                    self._sent_messages += 1
                    self._sent_bytes += len(message)
        finally:
            self._open = False


class ReceivedCounts:
    """What has come so far."""

    __slots__ = ("frames", "messages", "octets")

    def __init__(self) -> None:
        self.messages = 0
        self.octets = 0
        self.frames = 0
