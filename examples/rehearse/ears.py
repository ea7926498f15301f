"""Hears when the caller speaks and when they have finished: by energy alone, above the noise behind them."""

from collections import deque

import numpy as np
from speech import Pcm

WINDOW = 2.0
ABOVE_NOISE = 3.0
LEAST = 350.0
"""Root mean square below which nothing is speech."""
FINISHED = 0.5
"""Seconds of silence after which the caller has finished."""
CLICK = 0.2
"""Seconds of sound that is no speech yet."""


class Ears:
    """Fed with the caller's audio."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.voiced = 0.0
        """Seconds of speech since the caller began; 0 when they have finished."""
        self.quiet = 0.0
        """Seconds since the last speech."""
        self._levels: deque[float] = deque(maxlen=200)

    def hear(self, pcm: Pcm) -> float:
        """Take some audio; return how long the caller has spoken if they have finished with it, else 0."""
        seconds = len(pcm) / self.rate
        level = float(np.sqrt(np.mean(pcm.astype(float) ** 2)))
        self._levels.append(level)
        recent = sorted(list(self._levels)[-round(WINDOW / seconds) :])
        if level > max(LEAST, ABOVE_NOISE * recent[len(recent) // 10]):
            self.voiced += seconds
            self.quiet = 0.0
            return 0.0
        self.quiet += seconds
        if not self.voiced or self.quiet < FINISHED:
            return 0.0
        spoken, self.voiced = self.voiced, 0.0
        return spoken if spoken > CLICK else 0.0
