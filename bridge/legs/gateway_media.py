"""A gateway leg's audio: a source pulled by the clock, a sink that is always clocked, and the socket between them."""

import asyncio
from collections import deque
from typing import Final

import aiohttp
import msgspec

from bridge.audio.buffer.playout import Playout
from bridge.audio.detect.level import RecentLevel, level
from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES, FRAME_SECONDS, SILENCE, Frame
from bridge.call.model import LegStatistics, ReceivedAudio, SentAudio
from bridge.wire.gateway import BufferStatus
from bridge.wire.snapshot_fields import copied, restored
from bridge.wire.stream.media_format import MediaDecoder, MediaEncoder, MediaFormat

MIN_DELAY: Final = 0.06
MAX_DELAY: Final = 1.0
"""Playout delay at most; older frames are dropped, and counted."""
QUEUE_SECONDS: Final = 0.24
"""Audio queued for the gateway at most; the oldest is dropped, and counted."""


class GatewayMediaSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a leg (`GatewayMedia`), whose buffers begin anew."""

    messages: int
    bytes: int
    frames: int
    late: int
    concealed: int
    sent_messages: int
    sent_bytes: int
    dropped_frames: int
    last_received: float | None


class GatewayMedia:
    """The source and the sink of a gateway leg.

    Received audio is cut into frames for an adaptive playout buffer. Frames from the clock are sent
    in whole messages, one of 60 ms every 60 ms; without a socket they are discarded. Dropped frames
    are counted as `SentAudio.dropped_frames` and `ReceivedAudio.late`.
    """

    always_clocked = True

    def __init__(self, media: MediaFormat) -> None:
        self._media = media
        self._loop = asyncio.get_running_loop()
        self._playout = Playout(minimum=MIN_DELAY, maximum=MAX_DELAY)
        self._pts = 0
        self._decoder = MediaDecoder(media)
        self._partial_frame = b""
        self._outgoing = MediaEncoder(media)
        size = round(QUEUE_SECONDS * 1000 / media.frame_milliseconds)
        self._waiting: deque[bytes] = deque(maxlen=size)
        self._wake = asyncio.Event()
        self._open = False
        self._paused_until = 0.0
        self._messages = self._bytes = self._frames = 0
        self._received_level = RecentLevel()
        self._last_sent = SILENCE
        self._sent_messages = 0
        self._sent_bytes = 0
        self._dropped_frames = 0
        self.last_received: float | None = None
        """When audio was last received, by the loop's clock; None before the first."""

    def pull(self) -> bytes | None:
        """Return the next frame of what the far party says."""
        now = self._loop.time()
        if self._partial_frame:
            self._pad_partial(now)
        pcm = self._playout.pull(now)
        if pcm is not None:
            self._received_level.note(pcm)
            self._frames += 1
        return pcm

    def push(self, frame: Frame, now: float) -> None:
        """Take a frame for the far party."""
        self._last_sent = frame.pcm
        if not self._open:
            return
        for message in self._outgoing.encode(frame.pcm):
            if len(self._waiting) == self._waiting.maxlen:
                self._dropped_frames += self._media.frame_milliseconds // 20
            self._waiting.append(message)
            self._wake.set()

    def statistics(self) -> LegStatistics:
        """Return the figures; one message counts as one packet."""
        playout = self._playout
        return LegStatistics(
            received=ReceivedAudio(
                packets=self._messages,
                bytes=self._bytes,
                frames=self._frames,
                late=playout.late + playout.dropped,
                concealed_frames=playout.concealed,
                level_dbov=self._received_level.dbov,
            ),
            sent=SentAudio(
                packets=self._sent_messages,
                bytes=self._sent_bytes,
                dropped_frames=self._dropped_frames,
                level_dbov=level(self._last_sent),
            ),
        )

    def snapshot(self) -> GatewayMediaSnapshot:
        """Return the figures as data."""
        playout = self._playout
        late, concealed = playout.late + playout.dropped, playout.concealed
        return copied(GatewayMediaSnapshot, self, late=late, concealed=concealed)

    def restore(self, snapshot: GatewayMediaSnapshot) -> None:
        """Go on counting after another process's leg."""
        restored(self, snapshot, without=["late", "concealed"])
        self._playout.late, self._playout.concealed = snapshot.late, snapshot.concealed

    def receive(self, data: bytes) -> None:
        """Take a message of audio of any length; a sample may be split across two."""
        now = self._loop.time()
        self.last_received = now
        self._messages += 1
        self._bytes += len(data)
        pcm = self._partial_frame + b"".join(self._decoder.decode(self._decoder.align(data)))
        end = len(pcm) - len(pcm) % FRAME_BYTES
        self._partial_frame = pcm[end:]
        for begin in range(0, end, FRAME_BYTES):
            self._push_playout(pcm[begin : begin + FRAME_BYTES], now)

    def note_buffer(self, backlog: BufferStatus) -> None:
        """Pause sending while too much is buffered at the gateway.

        It plays in real time, so the end of the pause is known even if it never reports it.
        """
        now = self._loop.time()
        if backlog.buffered >= backlog.pause:
            self._paused_until = now + max(FRAME_SECONDS, backlog.buffered - backlog.resume)
        elif backlog.buffered <= backlog.resume:
            self._paused_until = now

    def _pad_partial(self, now: float) -> None:
        """Play a partial frame, padded, once all before it is played and nothing has followed."""
        last = self.last_received
        if last is not None and now - last >= MIN_DELAY and not self._playout.held():
            partial, self._partial_frame = self._partial_frame, b""
            self._push_playout(partial.ljust(FRAME_BYTES, b"\0"), now)

    def _push_playout(self, pcm: bytes, now: float) -> None:
        self._playout.push(Frame(pcm, self._pts, self), now)
        self._pts += FRAME_SAMPLES

    async def send(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Send the pushed frames until cancelled, or until the socket fails.

        Raises:
            OSError: the socket is gone.
        """
        self._waiting.clear()
        self._outgoing = MediaEncoder(self._media)
        self._decoder.drop_incomplete()
        self._partial_frame = b""
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
