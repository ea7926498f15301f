"""When a source speaks: where each stretch of its speech begins and ends, to a few milliseconds."""

import math
from typing import Final

import msgspec

from bridge.audio.detect.level import SILENT, level
from bridge.audio.detect.vad import Vad
from bridge.audio.frame import FRAME_BYTES, FRAME_SECONDS, SILENCE

CONFIRMED_FRAMES: Final = 3
"""Voiced frames that are speech; a click has fewer."""
JOIN_SECONDS: Final = 0.07
"""Voiced frames that begin less than this apart belong together."""
GAP_SECONDS: Final = 0.16
"""What ends a stretch of speech: so long nothing but clicks. Those within it belong to the stretch: a word may end with one, as with a "t"."""
_BLOCKS: Final = 4
"""Parts of a frame in which its first and its last voiced sample are looked for."""
_NEVER: Final = -math.inf


class SpeechSnapshot(msgspec.Struct, frozen=True):
    """The state of a meter, without audio."""

    speaking: bool
    began: float
    ended: float
    run_at: float
    run: int
    voiced_at: float
    first_voice: float
    last_at: float
    sure_at: float
    levels: tuple[float, ...]
    """Levels from which the background noise is estimated."""


class SpeechMeter:
    """Finds the stretches of speech of one source of 20 ms frames, by their level above the background noise."""

    __slots__ = (
        "_first_voice", "_last", "_last_at", "_run", "_sure_at", "began", "ended", "level_dbov", "run_at", "speaking", "vad",
        "voiced_at",
    )  # fmt: skip

    def __init__(self) -> None:
        self.speaking = False
        """Whether a stretch has begun and not ended."""
        self.began = _NEVER
        """When the last stretch began: its first voiced sample."""
        self.ended = _NEVER
        """When the last stretch ended that is over: its last voiced sample."""
        self.run_at = _NEVER
        """When the first of the latest voiced frames began, be they speech or not."""
        self.level_dbov = SILENT
        """Of the last frame."""
        self.vad = Vad()
        """Measures the level."""
        self._run = 0
        """Voiced frames that belong together."""
        self.voiced_at = _NEVER
        """When the last voiced frame began."""
        self._first_voice = _NEVER
        """The first voiced sample of these frames."""
        self._last = SILENCE
        """The last voiced frame of the stretch."""
        self._last_at = self._sure_at = _NEVER
        """When it began, and when the last one did that is no click."""

    @property
    def last(self) -> float:
        """When the last stretch ended, or what of it has come ends."""
        return self._last_at + FRAME_SECONDS if self.speaking else self.ended

    def push(self, pcm: bytes | None, at: float) -> bool:
        """Take the frame that begins at a time, None for a silent one; return whether a stretch has begun or ended.

        A beginning is found 60 ms late, an end 160 ms, each with the time at which it was.
        """
        self.level_dbov = SILENT
        if pcm is None or pcm is SILENCE or not self._is_voiced(pcm):
            if not self.speaking or at - self._sure_at < GAP_SECONDS:
                return False
            self.speaking = False
            self.ended = self._last_at + self._voiced(self._last)[1]
            return True
        if at - self.voiced_at > JOIN_SECONDS:
            self._run, self.run_at = 0, at
            self._first_voice = at + self._voiced(pcm)[0]
        self._run += 1
        self.voiced_at = at
        self._last, self._last_at = pcm, at
        if self._run < CONFIRMED_FRAMES:
            return False
        self._sure_at = at
        if self.speaking:
            return False
        self.speaking, self.began = True, self._first_voice
        return True

    def snapshot(self) -> SpeechSnapshot:
        """Return the state, with which another meter continues."""
        return SpeechSnapshot(
            self.speaking,
            self.began,
            self.ended,
            self.run_at,
            self._run,
            self.voiced_at,
            self._first_voice,
            self._last_at,
            self._sure_at,
            self.vad.levels(),
        )

    def restore(self, snapshot: SpeechSnapshot) -> None:
        """Continue from the state of another meter."""
        self.speaking, self.began, self.ended = snapshot.speaking, snapshot.began, snapshot.ended
        self.run_at, self._run = snapshot.run_at, snapshot.run
        self.voiced_at, self._first_voice = snapshot.voiced_at, snapshot.first_voice
        self._last_at, self._sure_at = snapshot.last_at, snapshot.sure_at
        self.vad.restore_levels(snapshot.levels)

    def _is_voiced(self, pcm: bytes) -> bool:
        voiced = self.vad.push(pcm)
        self.level_dbov = self.vad.level_dbov
        return voiced

    def _voiced(self, pcm: bytes) -> tuple[float, float]:
        """Return where in a voiced frame the voice begins and ends, in seconds."""
        size, threshold = FRAME_BYTES // _BLOCKS, self.vad.threshold_dbov
        parts = [pcm[start : start + size] for start in range(0, FRAME_BYTES, size)]
        voiced = [number for number, part in enumerate(parts) if level(part) > threshold]
        if not voiced:
            return 0.0, FRAME_SECONDS
        part = FRAME_SECONDS / _BLOCKS
        return voiced[0] * part, (voiced[-1] + 1) * part
