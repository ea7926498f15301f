"""Find pauses in buffered speech that can be shortened without losing a word."""

from typing import Final

from bridge.audio.detect.level import level
from bridge.audio.detect.vad import MIN_VOICE
from bridge.audio.frame import FRAME_BYTES

AFTER_FRAMES: Final = 3
"""Frames of a shortened pause that follow the last word."""
BEFORE_FRAMES: Final = 2
"""Frames of it that precede the next word, which may begin softly."""
PAUSE_FRAMES: Final = AFTER_FRAMES + BEFORE_FRAMES
"""100 ms: the minimum length of a shortened pause."""


def is_silent(frame: bytes) -> bool:
    """Return whether a frame is too quiet for a voice."""
    return level(frame) <= MIN_VOICE


def silent_frames(audio: bytearray, start: int = 0) -> int:
    """Count the consecutive silent frames from a byte offset on."""
    count = 0
    for at in range(start, len(audio) - FRAME_BYTES + 1, FRAME_BYTES):
        if not is_silent(bytes(audio[at : at + FRAME_BYTES])):
            break
        count += 1
    return count


def long_pauses(audio: bytearray, start: int = 0) -> list[tuple[int, int]]:
    """Return what exceeds 100 ms of each pause, as (offset, bytes); the last pause first."""
    found: list[tuple[int, int]] = []
    at = start
    while at + FRAME_BYTES <= len(audio):
        silent = silent_frames(audio, at)
        if silent > PAUSE_FRAMES:
            size = (silent - PAUSE_FRAMES) * FRAME_BYTES
            found.append((at + AFTER_FRAMES * FRAME_BYTES, size))
        at += (silent + 1) * FRAME_BYTES
    return found[::-1]
