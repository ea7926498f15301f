"""The frame: 20 ms of the bus, the unit in which every source gives and every sink takes."""

from collections.abc import Callable, Hashable
from typing import NamedTuple, TypeAlias

SAMPLE_RATE = 16_000
"""Samples a second on the bus, mono."""

FRAME_SECONDS = 0.02
FRAME_SAMPLES = 320
FRAME_BYTES = 640

SILENCE = bytes(FRAME_BYTES)


class Frame(NamedTuple):
    """20 ms of sound: 320 samples, signed 16-bit little-endian, mono, 16 kHz.

    The bytes are immutable: a sink may keep them.
    """

    pcm: bytes
    """640 bytes."""

    pts: int
    """Position of the first sample on the source's timeline, in samples at 16 kHz."""

    timeline: Hashable
    """Which timeline `pts` counts on. A source takes a new one whenever its count starts anew (new
    SSRC, reload, resumption), so that two frames are comparable only within one timeline."""


Push: TypeAlias = Callable[[Frame, float], None]
"""Takes a frame and `now` (monotonic seconds); returns at once, never raises."""
