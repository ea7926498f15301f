"""Tones that replace speech, and the audio that a caller hears while a reply is late."""

from contextlib import aclosing
from typing import Final

import numpy as np

from bridge.agent.providers import ProviderFailed, TextToSpeech
from bridge.agent.speech_queue import SpeechQueue
from bridge.audio.frame import FRAME_SECONDS, SAMPLE_RATE
from bridge.metrics.agent import AgentMetrics
from bridge.settings.agent import Agent

FAILURE_TONE: Final = (440.0, 330.0)
FILLER_TONE: Final = (392.0, 523.0)
FILLER_VOLUME: Final = 0.25
_AMPLITUDE: Final = 6000.0
_EDGE_SECONDS: Final = 0.01


class Filler:
    """Plays the filler sentence once per wait, then a soft tone at intervals.

    The sentence is synthesized once per call, when first needed.
    """

    def __init__(
        self,
        settings: Agent,
        speech: SpeechQueue,
        tts: TextToSpeech,
        counters: AgentMetrics,
    ) -> None:
        self._settings = settings
        self._speech = speech
        self._tts = tts
        self._counters = counters
        self._sound = b""
        self._waited = 0
        """Frames since the caller last heard anything."""

    def is_due(self, *, replying: bool) -> bool:
        """Count 20 ms; return whether a filler is due."""
        after = round(self._settings.filler_seconds / FRAME_SECONDS)
        silent = replying and not self._speech.speaking and not self._speech.has_sentences
        self._waited = self._waited + 1 if silent and after else 0
        if not self._waited or self._waited < after:
            return False
        self._waited = 0
        return True

    async def play(self) -> None:
        """Play the filler, unless the reply has arrived meanwhile."""
        first = self._speech.played_seconds == 0
        if first and self._settings.filler and not self._sound:
            try:
                async with aclosing(self._tts.speak(self._settings.filler)) as pieces:
                    self._sound = b"".join([pcm async for pcm in pieces])
            except ProviderFailed as error:
                self._counters.step_failed(error.step, error.reason)
        if self._speech.has_sentences or self._speech.speaking:
            return
        self._speech.fill(
            self._sound if first and self._sound else tone(FILLER_TONE, volume=FILLER_VOLUME)
        )
        self._counters.filler_played()


def tone(
    frequencies: tuple[float, ...] = FAILURE_TONE, *, each: float = 0.2, volume: float = 1.0
) -> bytes:
    """Return consecutive tones of `each` seconds as 16 kHz samples; `volume` is 0 to 1."""
    time = np.arange(round(each * SAMPLE_RATE)) / SAMPLE_RATE
    # Fades prevent clicks.
    edges = np.minimum(1.0, np.minimum(time, time[::-1]) / _EDGE_SECONDS)
    tones = [
        volume * _AMPLITUDE * edges * np.sin(2 * np.pi * pitch * time) for pitch in frequencies
    ]
    return b"".join(sound.astype("<i2").tobytes() for sound in tones)
