"""What a party says over a WebSocket, paced towards the call."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from bridge.audio.frame import SILENCE
from bridge.audio.level import level
from bridge.audio.paced import LIMIT_SECONDS, PacedQueue
from bridge.audio.sample_encoding import MIN_BYTES, guess_encoding
from bridge.call.model import ReceivedAudio
from bridge.wire.media_format import PIECE_SECONDS, MediaDecoder, MediaFormat

_PROBE_BYTES: Final = 2 * MIN_BYTES


class InboundAudio:
    """Decodes messages of audio and buffers what comes faster than it is played."""

    def __init__(
        self,
        media: MediaFormat,
        on_dropped: Callable[[float], None],
        *,
        pads: bool = False,
        limit_seconds: float = LIMIT_SECONDS,
    ) -> None:
        """Make an empty buffer; `on_dropped` takes the seconds that were dropped above the limit.

        With `pads`, each message is padded to a whole frame (`wire.media_format.MediaDecoder`).
        """
        self.queue = PacedQueue(limit_seconds=limit_seconds)
        self.frames = 0
        """Frames played."""
        self._on_dropped = on_dropped
        self._decoder = MediaDecoder(media, pads=pads)
        self._long = round(media.second_bytes * PIECE_SECONDS)
        self._messages = self._bytes = 0
        self._encoding, self._sample_bytes = media.encoding.value, media.encoding.sample_bytes
        self._probe = bytearray()
        """The latest audio as it came, to tell its encoding."""
        self._guesses: deque[str | None] = deque(maxlen=2)
        self._last = SILENCE

    async def receive(self, message: bytes) -> None:
        """Take a message; yields to other tasks between the pieces of a long one.

        Raises:
            RemoteProtocolError: as `MediaDecoder.decode`.
        """
        self._messages += 1
        self._bytes += len(message)
        if len(self._probe) < _PROBE_BYTES:
            self._probe += message[: len(message) // self._sample_bytes * self._sample_bytes]
        for pcm in self._decoder.decode(message):
            before = self.queue.dropped_seconds
            self.queue.add(pcm)
            if (dropped := self.queue.dropped_seconds - before) > 0:
                self._on_dropped(dropped)
            if len(message) > self._long:
                await asyncio.sleep(0)

    def pull(self) -> bytes | None:
        """Return the next 20 ms; None while there is nothing."""
        frame = self.queue.pull()
        self.frames += frame is not None
        self._last = frame or SILENCE
        return frame

    def check_encoding(self) -> str:
        """Return the encoding that the audio is in, if not the agreed one; else an empty string.

        To be called about once a second; two checks in a row must agree.
        """
        if len(self._probe) >= _PROBE_BYTES:
            self._guesses.append(guess_encoding(bytes(self._probe)))
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
