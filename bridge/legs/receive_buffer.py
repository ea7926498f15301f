"""What a party says over a WebSocket, paced towards the call."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from bridge.audio.buffer.pace import ArrivalPace
from bridge.audio.buffer.paced import HELD_SECONDS, LIMIT_SECONDS, PacedQueue
from bridge.audio.codec.sample_encoding import MIN_BYTES, guess_encoding
from bridge.audio.detect.level import level
from bridge.audio.frame import FRAME_SECONDS, SILENCE
from bridge.call.leg_state import SocketState
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
AGREEING: Final = 2
"""Consecutive samples of the audio that must agree."""
MOVABLE_SECONDS: Final = 6.0
"""More audio than this that waits to be played does not pass to another process: the leg stays until there is less."""
UNHEARD_SECONDS: Final = HELD_SECONDS
"""Grace period for playing the rest of what a departed party has sent, which may be held."""
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
        now: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Make an empty buffer; `now` is asked when a message comes, in monotonic seconds.

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
        self._probes: deque[bytes] = deque(maxlen=AGREEING)
        """Pieces of audio that are still to be checked; at most two."""
        self._roughness = conversion.roughness
        self._guesses: deque[str | None] = deque(maxlen=AGREEING)
        self._last = SILENCE
        self._now = now
        self._pace = ArrivalPace()
        self._second_bytes = media.second_bytes
        self._sample_rate = media.sample_rate
        self._pulled = asyncio.Event()

    async def receive(self, message: bytes) -> None:
        """Take a message; yields to other tasks between the pieces of a long one."""
        self._messages += 1
        self._bytes += len(message)
        self._idle_frames = 0
        self._pace.note(len(message) / self._second_bytes, self._now())
        samples = self._decoder.align(message)
        if len(self._probes) < AGREEING:
            self._take_probe(samples)
        for pcm in self._decoder.decode(samples):
            if dropped := self.queue.add(pcm):
                self._on_dropped(dropped)
            if len(message) > self._long:
                await asyncio.sleep(0)

    def pull(self) -> bytes | None:
        """Return the next 20 ms; None while there is nothing."""
        frame = self.queue.pull()
        self._pulled.set()
        self._last = frame or SILENCE
        if frame is not None:
            self.frames += 1
        else:
            self._idle_frames += 1
            if self._decoder.incomplete and self._idle_frames * FRAME_SECONDS >= IDLE_SECONDS:
                self._decoder.drop_incomplete()
                self._on_incomplete()
        return frame

    async def play_out(self) -> None:
        """Wait until the audio of a departed party has been played; do not wait for audio that nobody hears."""
        until = self.queue.speech_until(self.queue.buffered_seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.queue.buffered_seconds + UNHEARD_SECONDS):
                while self.queue.left_seconds < until:
                    self._pulled.clear()
                    await self._pulled.wait()

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

        To be called about once a second.
        """
        while self._probes:
            self._guesses.append(guess_encoding(self._probes.popleft(), self._roughness))
        first, last = (*self._guesses, None, None)[:2]
        return first if first and first == last != self._encoding else ""

    def _take_probe(self, samples: bytes) -> None:
        """Collect audio for `check_encoding`; a whole sentence that arrives at once counts as two pieces."""
        self._probe += samples
        while len(self._probe) >= _PROBE_BYTES and len(self._probes) < AGREEING:
            self._probes.append(bytes(self._probe[:_PROBE_BYTES]))
            del self._probe[:_PROBE_BYTES]
        if len(self._probes) == AGREEING:
            self._probe.clear()

    def statistics(self) -> ReceivedAudio:
        """Return the figures; one message counts as one packet."""
        return ReceivedAudio(
            packets=self._messages,
            bytes=self._bytes,
            frames=self.frames,
            level_dbov=level(self._last),
        )

    def state(self, dropped_seconds: float) -> SocketState:
        """Return what is wrong with the audio; `dropped_seconds` is how much the party did not read in time."""
        current = self._pace.is_current(self._now())
        return SocketState(
            self._encoding,
            self._sample_rate,
            self._second_bytes,
            looks_like=self.check_encoding(),
            dropped_seconds=dropped_seconds,
            pace=self._pace.ratio if current else None,
            pace_seconds=self._pace.run_seconds if current else 0.0,
            waiting_dbov=self.queue.level_dbov,
        )
