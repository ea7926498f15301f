"""How loud and how high a caller usually speaks."""

import math
from typing import Final

from bridge.audio.detect.overlap_features import Usual
from bridge.audio.detect.voice_frame import VOICED, measure

MEMORY_FRAMES: Final = 250
"""The last 5 s of a voice count, more or less."""
PITCH_EVERY: Final = 10
"""Loud frames between two measurements of the pitch, which costs ten times as much as a level."""
KNOWN_FRAMES: Final = 25
"""Of a voice, from which on it is known: 0.5 s."""
FAR_DB: Final = 12.0
"""A voice that is so much softer than the caller's is one behind it; where one is so much louder, those before were."""


class UsualVoice:
    """The mean level and pitch of a caller's voice so far."""

    __slots__ = ("_behind", "_frames", "_octaves", "_pitches", "_power", "usual")

    def __init__(self) -> None:
        self._frames = self._pitches = self._behind = 0
        self._power = self._octaves = 0.0
        self.usual: Usual | None = None
        """They, brought up to date as often as the pitch is; None for a caller who has hardly spoken."""

    def note(self, window: bytes, dbov: float) -> None:
        """Take a loud frame, with the one before it."""
        if self._is_behind(window, dbov):
            return
        self._frames += 1
        self._power += (10.0 ** (dbov / 10.0) - self._power) / min(self._frames, MEMORY_FRAMES)
        if self._frames % PITCH_EVERY:
            return
        voice = measure(window)
        if voice.voicing > VOICED:
            self._pitches += 1
            weight = 1 / min(self._pitches, MEMORY_FRAMES // PITCH_EVERY)
            self._octaves += (math.log2(voice.pitch) - self._octaves) * weight
        if self._frames >= KNOWN_FRAMES and self._pitches:
            self.usual = Usual(10.0 * math.log10(self._power), 2.0**self._octaves)

    def _is_behind(self, window: bytes, dbov: float) -> bool:
        """Return whether a frame is softer than the caller; start anew where it shows that what was heard so far is not the caller."""
        if not self._frames:
            return False
        above = dbov - 10.0 * math.log10(self._power)
        self._behind = self._behind + 1 if above < -FAR_DB else 0
        louder = above > FAR_DB and measure(window).voicing > VOICED
        if louder or self._behind > MEMORY_FRAMES:
            self._frames = self._pitches = self._behind = 0
        return self._behind > 0
