"""The speech of an agent: a queue of sentences that tracks how much was heard."""

import asyncio
from typing import Final

from bridge.agent.sentences import SpokenSentence, heard_text
from bridge.audio.buffer.paced import PacedQueue
from bridge.audio.ducking import Ducking, attenuation
from bridge.audio.frame import FRAME_BYTES, FRAME_SECONDS, SAMPLE_RATE

QUEUE_SECONDS: Final = 300.0
LEAD_BYTES: Final = 2 * round(0.1 * SAMPLE_RATE)
"""A sentence starts once this much is buffered, so that bursts cause no gaps."""
CHARACTERS_PER_SECOND: Final = 14.0
"""Speech rate, to estimate the length of a sentence that is still arriving."""
DUCKED: Final = attenuation(12.0)
"""Gain of ducked speech, while a caller speaks over it."""
_SECOND_BYTES: Final = 2 * SAMPLE_RATE


class SpeechQueue:
    """Plays sentences whose audio is streamed; can be held, ducked, released and cleared."""

    def __init__(self) -> None:
        self.queue = PacedQueue(limit_seconds=QUEUE_SECONDS)
        """What waits to be played."""
        self._sentences: list[SpokenSentence] = []
        self._open: str | None = None
        """The sentence whose audio is still arriving."""
        self._lead = bytearray()
        self._received = 0
        """Bytes of its audio so far."""
        self._played = 0
        self._fillers = 0
        """Frames of fillers, which always come first."""
        self.held = False
        """Whether playback is paused."""
        self.ducked = False
        """Whether it is played at reduced volume."""
        self.last: bytes | None = None
        """The last frame before ducking; None while silent."""
        self._ducking = Ducking()
        self._pulled = asyncio.Event()

    @property
    def speaking(self) -> bool:
        """Whether audio is queued."""
        return self.queue.buffered_seconds > 0

    @property
    def played_seconds(self) -> float:
        """Audio played since the last `take_heard`."""
        return self._played * FRAME_SECONDS

    @property
    def begins(self) -> bool:
        """Whether the last frame was the first one that is not a filler."""
        return self._played == self._fillers + 1

    @property
    def filling(self) -> bool:
        """Whether the last frame was of a filler."""
        return 0 < self._played <= self._fillers

    @property
    def has_sentences(self) -> bool:
        """Whether there were sentences, not only fillers, since the last `take_heard`."""
        return self._open is not None or any(sentence.text for sentence in self._sentences)

    def pull(self) -> bytes | None:
        """Return the next 20 ms; None while silent."""
        frame = None if self.held else self.queue.pull()
        self._pulled.set()
        self.last = frame
        if frame is not None:
            self._played += 1
        if not self.ducked and self._ducking.idle:
            return frame
        voices = [] if frame is None else [frame]
        return self._ducking.mix(voices, (), DUCKED if self.ducked else 1.0)

    def begin(self, text: str) -> None:
        """Begin a sentence; its audio follows."""
        self._open, self._received = text, 0

    def add(self, pcm: bytes) -> None:
        """Add audio of the current sentence."""
        self._received += len(pcm)
        self._lead += pcm
        if self._received >= LEAD_BYTES:
            self._flush()

    def end(self, *, whole: bool = True) -> None:
        """End the sentence, padded to a frame; if not `whole`, its text is cut to the audio."""
        if self._open is None:
            return
        self._lead += bytes(-self._received % FRAME_BYTES)
        self._flush()
        seconds = -(-self._received // FRAME_BYTES) * FRAME_SECONDS
        text = self._open if whole else heard_text([self._estimated()], seconds)
        self._sentences.append(SpokenSentence(text, seconds))
        self._open = None

    def fill(self, pcm: bytes) -> None:
        """Play audio that is not part of the conversation."""
        pcm += bytes(-len(pcm) % FRAME_BYTES)
        frames = len(pcm) // FRAME_BYTES
        self.queue.add(pcm)
        self._sentences.append(SpokenSentence("", frames * FRAME_SECONDS))
        self._fillers += frames

    def clear(self) -> None:
        """Drop all queued audio."""
        self.queue.clear()
        self._lead.clear()
        self.held = self.ducked = False

    @property
    def heard(self) -> str:
        """The text heard since the last `take_heard`."""
        sentences = list(self._sentences)
        if self._open is not None:
            sentences.append(self._estimated())
        return heard_text(sentences, self.played_seconds)

    def take_heard(self) -> str:
        """Return the text heard since the previous call, and forget the rest."""
        text = self.heard
        self._sentences.clear()
        self._open = None
        self._lead.clear()
        self._played = self._fillers = 0
        return text

    async def wait_below(self, seconds: float) -> None:
        """Wait until at most `seconds` are queued."""
        while self.queue.buffered_seconds > seconds:
            self._pulled.clear()
            await self._pulled.wait()

    async def wait_sentence(self) -> None:
        """Wait until the current sentence has been played; return at once if there is none."""
        begun = self._played
        while 0 < begun <= self._played and not self._has_ended_since(begun):
            if not self.speaking and self._open is None:
                return
            self._pulled.clear()
            await self._pulled.wait()

    def _has_ended_since(self, begun: int) -> bool:
        """Whether a sentence has ended since this many frames had been played."""
        end = 0
        for sentence in self._sentences:
            end += round(sentence.seconds / FRAME_SECONDS)
            if begun <= end <= self._played:
                return True
        return False

    def _estimated(self) -> SpokenSentence:
        """Return the current sentence with its estimated duration."""
        text = self._open or ""
        return SpokenSentence(
            text, max(self._received / _SECOND_BYTES, len(text) / CHARACTERS_PER_SECOND)
        )

    def _flush(self) -> None:
        self.queue.add(bytes(self._lead))
        self._lead.clear()
