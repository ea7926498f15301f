"""What an agent lets hear where nobody can speak for it."""

from typing import Final

import numpy as np

from bridge.audio.frame import SAMPLE_RATE

_AMPLITUDE: Final = 6000.0
_EDGE_SECONDS: Final = 0.01
TONE: Final = (440.0, 330.0)


def tone(frequencies: tuple[float, ...] = TONE, *, each: float = 0.2, loud: float = 1.0) -> bytes:
    """Give tones, one after the other, of `each` seconds, as 16 kHz samples.

    Args:
        frequencies: in hertz.
        each: seconds.
        loud: share of the usual amplitude.
    """
    time = np.arange(round(each * SAMPLE_RATE)) / SAMPLE_RATE
    # Without soft edges each would click.
    edges = np.minimum(1.0, np.minimum(time, time[::-1]) / _EDGE_SECONDS)
    sounds = [loud * _AMPLITUDE * edges * np.sin(2 * np.pi * pitch * time) for pitch in frequencies]
    return b"".join(sound.astype("<i2").tobytes() for sound in sounds)
