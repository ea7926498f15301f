"""What the bot has to say, and how much of it the caller has heard."""

import numpy as np
from speech import Pcm

LEAD = 0.5
"""Seconds of speech that are sent before they are due: enough for a busy machine, little enough to stop quickly."""


class SpeechQueue:
    """Its clock is the audio that comes from the caller, which comes in silence too."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.now = 0.0
        self.until = 0.0
        """When the last of it will have been played."""
        self.cut = False
        """Whether what was sent and not played yet is to be dropped."""
        self._waiting = np.zeros(0, np.int16)

    @property
    def speaking(self) -> bool:
        return self.now < self.until

    def add(self, pcm: Pcm) -> None:
        self._waiting = np.concatenate([self._waiting, pcm])
        self.until = max(self.now, self.until) + len(pcm) / self.rate

    def stop(self) -> None:
        """Be silent at once."""
        self._waiting, self.cut, self.until = self._waiting[:0], True, self.now

    def due(self) -> Pcm:
        """Return what has to be sent now."""
        sent_until = self.until - len(self._waiting) / self.rate
        wanted = max(0, round((self.now + LEAD - sent_until) * self.rate))
        pcm, self._waiting = self._waiting[:wanted], self._waiting[wanted:]
        return pcm
