"""Whether somebody is speaking, judged by energy against the noise of the place."""

from typing import Final

from bridge.audio.frame import FRAME_SECONDS
from bridge.audio.level import level

_FIRST_FLOOR: Final = -60.0
_LOWEST_FLOOR: Final = -80.0
_HIGHEST_FLOOR: Final = -30.0
_FALL: Final = 0.3
"""Share of the way down to a quieter frame that the floor goes at once."""
_RISE: Final = 3.0
"""dB a second by which the floor rises in louder noise."""
_RISE_SPEAKING: Final = 0.5
"""The same while somebody speaks, so that a long sentence does not become the floor."""
_MARGIN: Final = 9.0
"""dB above the floor that count as voice."""
_QUIETEST_VOICE: Final = -55.0


class Vad:
    """Voice activity of one source, fed with 20 ms frames.

    `hangover` is for how many seconds a voice counts as speaking after its last loud frame, so that
    soft endings and the gaps between words are not cut.
    """

    def __init__(self, *, hangover: float = 0.2) -> None:
        self._hangover = hangover
        self._floor = _FIRST_FLOOR
        self._heard = False
        self.seconds = 0.0
        """Time given to `push` and `skip` so far."""
        self.speech_seconds = 0.0
        """Of these, the time in which the frame itself was loud."""
        self.silence_seconds = 0.0
        """Time since the last loud frame, or since the beginning."""

    @property
    def noise_dbov(self) -> float:
        """The level of the background as it is believed to be."""
        return self._floor

    @property
    def speaking(self) -> bool:
        """Whether there was a loud frame within the hangover."""
        return self._heard and self.silence_seconds <= self._hangover + 1e-9

    def push(self, pcm: bytes) -> bool:
        """Take the next frame; return whether it is loud enough to be voice."""
        loudness = level(pcm)
        loud = loudness > max(self._floor + _MARGIN, _QUIETEST_VOICE)
        self._follow(loudness)
        self.seconds += FRAME_SECONDS
        if loud:
            self._heard = True
            self.speech_seconds += FRAME_SECONDS
            self.silence_seconds = 0.0
        else:
            self.silence_seconds += FRAME_SECONDS
        return loud

    def skip(self, seconds: float = FRAME_SECONDS) -> None:
        """Let time pass in which nothing came at all: silence that says nothing about the noise."""
        self.seconds += seconds
        self.silence_seconds += seconds

    def _follow(self, loudness: float) -> None:
        if loudness < self._floor:
            self._floor += (loudness - self._floor) * _FALL
        else:
            rise = (_RISE_SPEAKING if self.speaking else _RISE) * FRAME_SECONDS
            self._floor = min(loudness, self._floor + rise)
        self._floor = min(max(self._floor, _LOWEST_FLOOR), _HIGHEST_FLOOR)
