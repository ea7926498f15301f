"""What a party says over a WebSocket, paced towards the call."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from bridge.audio.buffer.paced import LIMIT_SECONDS, PacedQueue
from bridge.audio.codec.sample_encoding import MIN_BYTES, guess_encoding
from bridge.audio.detect.level import level
from bridge.audio.frame import FRAME_SECONDS, SILENCE
from bridge.call.model import ReceivedAudio
from bridge.errors import HandoverRefused
from bridge.media.stream_snapshot import InboundSnapshot
from bridge.wire.snapshot_fields import copied, restored
from bridge.wire.stream.media_format import (
    IN_PYTHON,
    PIECE_SECONDS,
    Conversion,
    MediaDecoder,
    MediaFormat,
)

_PROBE_BYTES: Final = 2 * MIN_BYTES
MOVABLE_SECONDS: Final = 6.0
"""More audio than this that waits to be played does not pass to another process: the leg stays until there is less."""
IDLE_SECONDS: Final = 1.0
"""After so long with nothing to play, a message begins with a new sample.

Not sooner: after a stall of the network it goes on within the one that the last message began.
"""


class InboundAudio:
    """Decodes messages of audio and buffers what comes faster than it is played.

    Each message continues the previous one, wherever they are cut; only what is left when nothing has
    followed for a frame's time is padded with silence.
    """

    def __init__(
        self,
        media: MediaFormat,
        on_dropped: Callable[[float], None],
        on_incomplete: Callable[[], None],
        *,
        limit_seconds: float = LIMIT_SECONDS,
        conversion: Conversion = IN_PYTHON,
    ) -> None:
        """Make an empty buffer.

        `on_dropped` takes the seconds that were dropped above the limit; `on_incomplete` is called when the
        rest of a sample has not come, and its beginning is dropped.
        """
        self.queue = PacedQueue(limit_seconds=limit_seconds, holds=True)
        self.frames = 0
        """Frames played."""
        self._on_dropped = on_dropped
        self._on_incomplete = on_incomplete
        self._decoder = MediaDecoder(media, conversion)
        self._idle_frames = 0
        """How often there was nothing to play since the last message."""
        self._long = round(media.second_bytes * PIECE_SECONDS)
        self._messages = self._bytes = 0
        self._encoding = media.encoding.value
        self._probe = bytearray()
        """The latest audio as it came, to tell its encoding."""
        self._roughness = conversion.roughness
        self._guesses: deque[str | None] = deque(maxlen=2)
        self._last = SILENCE

    async def receive(self, message: bytes) -> None:
        """Take a message; yields to other tasks between the pieces of a long one."""
        self._messages += 1
        self._bytes += len(message)
        self._idle_frames = 0
        samples = self._decoder.align(message)
        if len(self._probe) < _PROBE_BYTES:
            self._probe += samples
        for pcm in self._decoder.decode(samples):
            if dropped := self.queue.add(pcm):
                self._on_dropped(dropped)
            if len(message) > self._long:
                await asyncio.sleep(0)

    def pull(self) -> bytes | None:
        """Return the next 20 ms; None while there is nothing."""
        frame = self.queue.pull()
        self._last = frame or SILENCE
        if frame is not None:
            self.frames += 1
        else:
            self._idle_frames += 1
            if self._decoder.incomplete and self._idle_frames * FRAME_SECONDS >= IDLE_SECONDS:
                self._decoder.drop_incomplete()
                self._on_incomplete()
        return frame

    def clear(self) -> list[str]:
        """Drop what waits to be played; return its marks (`PacedQueue.clear`)."""
        self._decoder.drop_incomplete()
        return self.queue.clear()

    def describe(self) -> dict[str, object]:
        """Return what `stream.ended` says of it."""
        dropped = round(self.queue.dropped_seconds, 2)
        return {"playedSeconds": round(self.frames / 50, 2), "droppedSeconds": dropped}

    def check_movable(self) -> None:
        """Raise `HandoverRefused` if too much waits to be played."""
        if self.queue.buffered_seconds > MOVABLE_SECONDS:
            raise HandoverRefused(f"more than {MOVABLE_SECONDS:g} s of audio wait to be played")

    def snapshot(self) -> InboundSnapshot:
        """Return what has come, for another process; the beginning of a sample is left out."""
        return copied(InboundSnapshot, self, queue=self.queue.snapshot())

    def copy(self) -> InboundSnapshot:
        """Return the same without the audio, which would be played too late: only its marks are reported."""
        return copied(InboundSnapshot, self, queue=self.queue.marks())

    def restore(self, snapshot: InboundSnapshot) -> None:
        """Go on with what has come to another process."""
        restored(self, snapshot, without=("queue",)).queue.restore(snapshot.queue)

    def check_encoding(self) -> str:
        """Return the encoding that the audio is in, if not the agreed one; else an empty string.

        To be called about once a second; two checks in a row must agree.
        """
        if len(self._probe) >= _PROBE_BYTES:
            self._guesses.append(guess_encoding(bytes(self._probe), self._roughness))
            self._probe.clear()
        first, last = (*self._guesses, None, None)[:2]
        return first if first and first == last != self._encoding else ""

    def statistics(self) -> ReceivedAudio:
        """Return the figures; one message counts as one packet."""
        return ReceivedAudio(
            packets=self._messages,
            bytes=self._bytes,
            frames=self.frames,
            level_dbov=level(self._last),
        )
