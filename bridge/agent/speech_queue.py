"""What an agent has to say, given frame by frame, and how much of it was heard."""

import asyncio
from typing import Final

from bridge.agent.sentences import Said, heard
from bridge.audio.frame import FRAME_BYTES, FRAME_SECONDS, SAMPLE_RATE
from bridge.audio.paced import PacedQueue

QUEUE_SECONDS: Final = 300.0
LEAD_BYTES: Final = 2 * round(0.1 * SAMPLE_RATE)
"""A sentence begins once so much of it is there: sound that comes in bursts is not torn."""
LETTERS_A_SECOND: Final = 14.0
"""How fast one speaks: tells how long a sentence is whose end has not come yet."""
_SECOND_BYTES: Final = 2 * SAMPLE_RATE


class SpeechQueue:
    """Says sentences whose sound comes bit by bit; can pause, go on, and fall silent at once."""

    def __init__(self) -> None:
        self._queue = PacedQueue(limit_seconds=QUEUE_SECONDS)
        self._said: list[Said] = []
        self._open: str | None = None
        """The sentence whose sound is still coming."""
        self._lead = bytearray()
        self._came = 0
        """Bytes of it so far."""
        self._played = 0
        self._fillers = 0
        """Frames of them, since they come first."""
        self._held = False
        self._moved = asyncio.Event()

    @property
    def speaking(self) -> bool:
        """Whether it has something to say that is not said."""
        return self._queue.buffered_seconds > 0

    @property
    def played_seconds(self) -> float:
        """How much was heard since it was last settled."""
        return self._played * FRAME_SECONDS

    @property
    def begins(self) -> bool:
        """Whether the frame given last was the first of a sentence that is no filler's."""
        return self._played == self._fillers + 1

    @property
    def has_sentences(self) -> bool:
        """Whether anything but fillers was or is to be said since it was last settled."""
        return self._open is not None or any(said.text for said in self._said)

    def pull(self) -> bytes | None:
        """Give the next 20 ms; None while it says nothing."""
        frame = None if self._held else self._queue.pull()
        self._moved.set()
        self._played += frame is not None
        return frame

    def hold(self) -> None:
        """Say nothing for a while."""
        self._held = True

    def release(self) -> None:
        """Go on where it was held."""
        self._held = False

    def begin(self, text: str) -> None:
        """Begin a sentence; its sound follows."""
        self._open, self._came = text, 0

    def add(self, pcm: bytes) -> None:
        """Take sound of the sentence that has begun."""
        self._came += len(pcm)
        self._lead += pcm
        if self._came >= LEAD_BYTES:
            self._put()

    def end(self, *, whole: bool = True) -> None:
        """End the sentence; the next one begins with a frame.

        Args:
            whole: whether all of it came; else its text is cut to what did.
        """
        if self._open is None:
            return
        self._lead += bytes(-self._came % FRAME_BYTES)
        self._put()
        seconds = -(-self._came // FRAME_BYTES) * FRAME_SECONDS
        text = self._open if whole else heard([self._guessed()], seconds)
        self._said.append(Said(text, seconds))
        self._open = None

    def fill(self, pcm: bytes) -> None:
        """Let a sound be heard that is no part of the talk."""
        pcm += bytes(-len(pcm) % FRAME_BYTES)
        frames = len(pcm) // FRAME_BYTES
        self._queue.add(pcm)
        self._said.append(Said("", frames * FRAME_SECONDS))
        self._fillers += frames

    def hush(self) -> None:
        """Say nothing more."""
        self._queue.clear()
        self._lead.clear()
        self._held = False

    def settle(self) -> str:
        """Give what was heard since the last time; the rest is forgotten."""
        if self._open is not None:
            self._said.append(self._guessed())
        text = heard(self._said, self.played_seconds)
        self._said.clear()
        self._open = None
        self._lead.clear()
        self._played = self._fillers = 0
        return text

    async def below(self, seconds: float) -> None:
        """Wait until no more than so much waits to be said."""
        while self._queue.buffered_seconds > seconds:
            self._moved.clear()
            await self._moved.wait()

    def _guessed(self) -> Said:
        """Give the sentence that has begun with the time that all of it will take."""
        text = self._open or ""
        return Said(text, max(self._came / _SECOND_BYTES, len(text) / LETTERS_A_SECOND))

    def _put(self) -> None:
        self._queue.add(bytes(self._lead))
        self._lead.clear()
