"""Mixing frames; sums beyond full scale are clipped, never wrapped."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from bridge.audio.frame import FRAME_BYTES, SILENCE

_LOWEST: Final = np.int32(-32768)
_HIGHEST: Final = np.int32(32767)


def mix(frames: Sequence[bytes]) -> bytes:
    """Mix frames of equal length (signed 16-bit); no frames mix to one frame of silence."""
    if not frames:
        return SILENCE
    if len(frames) == 1:
        return frames[0]
    # 32 bits hold more than 65,000 frames at full scale.
    total = np.frombuffer(frames[0], np.int16).astype(np.int32)
    for pcm in frames[1:]:
        total += np.frombuffer(pcm, np.int16)
    # In place: on 320 samples the cost is in the calls and their arrays, not in the arithmetic.
    np.minimum(total, _HIGHEST, out=total)
    np.maximum(total, _LOWEST, out=total)
    return total.astype(np.int16).tobytes()


def mix_many(heard: Sequence[Sequence[bytes]], count: int) -> Sequence[bytes]:
    """Mix several sources of `count` frames each; all frames at once cost little more than one."""
    if len(heard) == 1:
        return heard[0]
    if not heard:
        return [SILENCE] * count
    mixed = mix([b"".join(frames) for frames in heard])
    return [mixed[start : start + FRAME_BYTES] for start in range(0, len(mixed), FRAME_BYTES)]
