"""The frame: 20 ms of audio on the bus, the unit of every source and sink."""

from collections.abc import Callable, Hashable
from typing import NamedTuple, TypeAlias

SAMPLE_RATE = 16_000
"""Hertz, mono."""

FRAME_SECONDS = 0.02
FRAME_SAMPLES = 320
FRAME_BYTES = 640

SILENCE = bytes(FRAME_BYTES)


class Frame(NamedTuple):
    """20 ms of audio: 320 samples, signed 16-bit little-endian, mono, 16 kHz.

    The bytes are immutable: a sink may keep them.
    """

    pcm: bytes
    """640 bytes."""

    pts: int
    """Position of the first sample on the source's timeline, in samples at 16 kHz."""

    epoch: Hashable
    """Identifies the media epoch of `pts`. A source changes it whenever its count restarts (new SSRC,
    reload, resumption); positions of different epochs cannot be compared."""


Push: TypeAlias = Callable[[Frame, float], None]
"""Receives a frame and `now` (monotonic seconds); must not block or raise."""
