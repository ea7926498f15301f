"""Whether somebody is speaking, judged by energy against the noise of the place."""

from collections import deque
from typing import Final

from bridge.audio.frame import FRAME_SECONDS
from bridge.audio.level import level

_WINDOW_FRAMES: Final = 100
"""2 s: speech dips to the background within it many times, steady noise never."""
_FIRST_FLOOR: Final = -60.0
_MIN_FLOOR: Final = -70.0
_MAX_FLOOR: Final = -35.0
"""So that what is louder than -26 dBov is always a voice, be it a steady tone."""
_MARGIN: Final = 9.0
"""dB above the floor that count as voice."""
_QUIETEST_VOICE: Final = -55.0


class Vad:
    """Voice activity of one source, fed with 20 ms frames.

    The noise is the quietest frame of the last 2 s. `hangover` is for how many seconds a voice
    counts as speaking after its last loud frame, so that soft endings and the gaps between words
    are not cut.
    """

    def __init__(self, *, hangover: float = 0.2) -> None:
        self._hangover = hangover
        self._levels: deque[float] = deque([_FIRST_FLOOR] * _WINDOW_FRAMES, _WINDOW_FRAMES)
        self._heard = False
        self.seconds = 0.0
        """Time given to it so far."""
        self.silence_seconds = 0.0
        """Time since the last loud frame, or since the beginning."""

    @property
    def noise_dbov(self) -> float:
        """The level of the background as it is believed to be."""
        return min(max(min(self._levels), _MIN_FLOOR), _MAX_FLOOR)

    @property
    def speaking(self) -> bool:
        """Whether there was a loud frame within the hangover."""
        return self._heard and self.silence_seconds <= self._hangover + 1e-9

    def push(self, pcm: bytes) -> bool:
        """Take the next frame; return whether it is loud enough to be voice."""
        loudness = level(pcm)
        self._levels.append(loudness)
        loud = loudness > max(self.noise_dbov + _MARGIN, _QUIETEST_VOICE)
        self.seconds += FRAME_SECONDS
        if loud:
            self._heard = True
            self.silence_seconds = 0.0
        else:
            self.silence_seconds += FRAME_SECONDS
        return loud
