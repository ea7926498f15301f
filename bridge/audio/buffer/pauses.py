"""Pauses in buffered speech, and what of them can be left out without loss of a word."""

from typing import Final

from bridge.audio.detect.level import level
from bridge.audio.detect.vad import MIN_VOICE
from bridge.audio.frame import FRAME_BYTES

AFTER_FRAMES: Final = 3
"""Of a shortened pause, those that follow the last word."""
BEFORE_FRAMES: Final = 2
"""Those that come before the next word, which may begin softly."""
PAUSE_FRAMES: Final = AFTER_FRAMES + BEFORE_FRAMES
"""100 ms: no pause is made shorter."""


def is_silent(frame: bytes) -> bool:
    """Return whether a frame has no voice."""
    return level(frame) <= MIN_VOICE


def silent_frames(audio: bytearray, start: int = 0) -> int:
    """Return how many whole frames from an offset on are silent, in a row."""
    count = 0
    for at in range(start, len(audio) - FRAME_BYTES + 1, FRAME_BYTES):
        if not is_silent(bytes(audio[at : at + FRAME_BYTES])):
            break
        count += 1
    return count


def superfluous(audio: bytearray, start: int = 0) -> list[tuple[int, int]]:
    """Return the parts of pauses beyond 100 ms, the last first: each as an offset and a number of bytes."""
    found: list[tuple[int, int]] = []
    at = start
    while at + FRAME_BYTES <= len(audio):
        silent = silent_frames(audio, at)
        if silent > PAUSE_FRAMES:
            size = (silent - PAUSE_FRAMES) * FRAME_BYTES
            found.append((at + AFTER_FRAMES * FRAME_BYTES, size))
        at += (silent + 1) * FRAME_BYTES
    return found[::-1]
