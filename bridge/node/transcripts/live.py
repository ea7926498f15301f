"""Transcribes the phrases of one live call, one after the other."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from bridge.agent.providers import ProviderFailed, Recognized, Recognizer
from bridge.audio.detect.phrases import SpokenPhrase
from bridge.call.transcript import Phrase, Word
from bridge.metrics.recording import TranscriptionMetrics

RETRIES: Final = (1.0, 4.0)
"""Seconds until a phrase is tried again."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    track: str
    offset: float
    spoken: SpokenPhrase


def phrase_of(track: str, spoken: SpokenPhrase, offset: float, found: Recognized) -> Phrase:
    """Return a phrase with times since the call's answer; `offset` is that of its track's beginning."""
    start = round(spoken.start + offset, 3)
    words = tuple(
        Word(word.text, round(start + word.start, 3), round(start + word.end, 3))
        for word in found.words
    )
    end = round(spoken.end + offset, 3)
    return Phrase(track, start, end, found.text, words, found.language)


class LiveTranscript:
    """The phrases of a call that wait for its provider."""

    def __init__(
        self,
        recognizer: Recognizer,
        *,
        max_queued: int,
        counters: TranscriptionMetrics,
        on_phrase: Callable[[Phrase], Awaitable[None]],
        on_missing: Callable[[], None],
    ) -> None:
        """`on_phrase` takes each phrase in turn, `on_missing` is called for one that is left out."""
        self._recognizer = recognizer
        self._max_queued = max_queued
        self._counters = counters
        self._on_phrase = on_phrase
        self._on_missing = on_missing
        self._waiting: deque[_Waiting] = deque()
        self._woken = asyncio.Event()
        self._closed = False
        self._busy = False

    @property
    def idle(self) -> bool:
        """Whether no phrase waits or is being transcribed, and it goes on."""
        return not (self._waiting or self._busy or self._closed)

    def add(self, track: str, offset: float, spoken: SpokenPhrase) -> None:
        """Queue a phrase; beyond `max_queued` the oldest is dropped and counted as `dropped`."""
        self._waiting.append(_Waiting(track, offset, spoken))
        if len(self._waiting) > self._max_queued:
            self._waiting.popleft()
            self._leave_out()
        self._woken.set()

    def close(self) -> None:
        """Let `run` return once the queue is empty."""
        self._closed = True
        self._woken.set()

    async def run(self) -> None:
        """Transcribe the queued phrases, in order, until closed."""
        while True:
            while self._waiting:
                self._busy = True
                await self._transcribe(self._waiting.popleft())
            self._busy = False
            if self._closed:
                return
            self._woken.clear()
            await self._woken.wait()

    async def _transcribe(self, one: _Waiting) -> None:
        for pause in (*RETRIES, None):
            try:
                found = await self._recognizer.recognize(one.spoken.pcm)
            except ProviderFailed:
                self._counters.phrase("failed")
                if pause is None or len(self._waiting) >= self._max_queued:
                    self._leave_out()
                    return
                await asyncio.sleep(pause)
            else:
                self._counters.phrase("transcribed")
                await self._on_phrase(phrase_of(one.track, one.spoken, one.offset, found))
                return

    def _leave_out(self) -> None:
        self._counters.phrase("dropped")
        self._on_missing()
