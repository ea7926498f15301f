"""Voice activity detection by energy above the background noise."""

from collections import deque
from collections.abc import Iterable
from typing import Final

from bridge.audio.detect.level import level
from bridge.audio.frame import FRAME_SECONDS

_WINDOW_FRAMES: Final = 100
"""2 s: speech falls to the background level many times within it, steady noise never."""
_INITIAL_FLOOR: Final = -60.0
_MIN_FLOOR: Final = -70.0
_MAX_FLOOR: Final = -35.0
"""So that anything above -26 dBov is voice, even a steady tone."""
_MARGIN: Final = 9.0
"""dB above the noise floor that count as voice."""
MIN_VOICE: Final = -55.0
"""No voice is quieter, in dBov."""


def noise_floor(levels: Iterable[float]) -> float:
    """Return the level of the background noise, given those of the last frames, in dBov."""
    return min(max(min(levels), _MIN_FLOOR), _MAX_FLOOR)


class Vad:
    """Voice activity of one source of 20 ms frames.

    The noise floor is the quietest frame of the last 2 s. A voice counts as speaking for `hangover`
    seconds after its last loud frame, so that soft endings and gaps between words are kept.
    """

    def __init__(self, *, hangover: float = 0.2) -> None:
        self._hangover = hangover
        self._levels: deque[float] = deque([_INITIAL_FLOOR] * _WINDOW_FRAMES, _WINDOW_FRAMES)
        self._lowest = _INITIAL_FLOOR
        """The minimum of these, kept so that it is not searched for in each frame."""
        self._spoken = False
        self.seconds = 0.0
        """Audio processed so far."""
        self.silence_seconds = 0.0
        """Time since the last loud frame, or since the start."""

    @property
    def level_dbov(self) -> float:
        """The level of the last frame."""
        return self._levels[-1]

    @property
    def noise_dbov(self) -> float:
        """The estimated level of the background noise."""
        return noise_floor((self._lowest,))

    @property
    def threshold_dbov(self) -> float:
        """The level above which a frame counts as voice."""
        return max(self.noise_dbov + _MARGIN, MIN_VOICE)

    @property
    def speaking(self) -> bool:
        """Whether there was a loud frame within the hangover."""
        return self._spoken and self.silence_seconds <= self._hangover + 1e-9

    def levels(self) -> tuple[float, ...]:
        """Return the levels from which the background noise is estimated, in dBov."""
        return tuple(self._levels)

    def restore_levels(self, levels: Iterable[float]) -> None:
        """Continue with those of another detector."""
        self._levels.extend(levels)
        self._lowest = min(self._levels)

    def push(self, pcm: bytes) -> bool:
        """Process a frame; return whether it is loud enough to be voice."""
        loudness, levels = level(pcm), self._levels
        oldest = levels[0]
        levels.append(loudness)
        if loudness <= self._lowest:
            self._lowest = loudness
        elif oldest == self._lowest:
            self._lowest = min(levels)
        loud = loudness > self.threshold_dbov
        self.seconds += FRAME_SECONDS
        if loud:
            self._spoken = True
            self.silence_seconds = 0.0
        else:
            self.silence_seconds += FRAME_SECONDS
        return loud
