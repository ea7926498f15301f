"""The usual level and pitch of a caller's voice."""

import math
from typing import Final

from bridge.audio.detect.overlap_features import Usual
from bridge.audio.detect.voice_frame import VOICED, measure

MEMORY_FRAMES: Final = 250
"""Length of the moving average: about 5 s of voice."""
PITCH_EVERY: Final = 10
"""The pitch is measured in every tenth loud frame, since that costs ten times as much as the level."""
KNOWN_FRAMES: Final = 25
"""Voiced frames before there is a result: 0.5 s."""
FAR_DB: Final = 12.0
"""A voice that is so much softer than the caller's is in the background; if one is so much louder, the earlier ones were."""


class UsualVoice:
    """The mean level and pitch of a caller's voice so far."""

    __slots__ = ("_behind", "_frames", "_octaves", "_pitches", "_power", "usual")

    def __init__(self) -> None:
        self._frames = self._pitches = self._behind = 0
        self._power = self._octaves = 0.0
        self.usual: Usual | None = None
        """The result, updated as often as the pitch is; None for a caller who has hardly spoken."""

    def note(self, window: bytes, dbov: float) -> None:
        """Process a loud frame, together with its predecessor."""
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
        """Return whether a frame belongs to the background; reset if it shows that the voice so far was not the caller's."""
        if not self._frames:
            return False
        above = dbov - 10.0 * math.log10(self._power)
        self._behind = self._behind + 1 if above < -FAR_DB else 0
        louder = above > FAR_DB and measure(window).voicing > VOICED
        if louder or self._behind > MEMORY_FRAMES:
            self._frames = self._pitches = self._behind = 0
        return self._behind > 0
