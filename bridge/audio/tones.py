"""Tones made by arithmetic: sines, the ringing of a far telephone, a beep, the digits of DTMF.

All at 16 kHz, signed 16-bit, mono; levels are those of one sine's root mean square, in dBov.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bridge.audio.frame import SAMPLE_RATE

_FULL_SCALE: Final = 32768.0
_RAMP_SECONDS: Final = 0.005

_ROWS: Final = (697.0, 770.0, 852.0, 941.0)
_COLUMNS: Final = (1209.0, 1336.0, 1477.0, 1633.0)
_KEYPAD: Final = "123A456B789C*0#D"


def sine(frequency: float, seconds: float, *, level: float = -20.0) -> bytes:
    """Make a sine with soft ends."""
    return _render((frequency,), seconds, level)


def beep(*, seconds: float = 0.2, level: float = -20.0) -> bytes:
    """Make the beep that says: now it is your turn."""
    return _render((1000.0,), seconds, level)


def ring_back(*, level: float = -25.0) -> bytes:
    """Make one period of what a caller hears while the other telephone rings.

    1 s of 425 Hz and 4 s of silence, the European tone (ETSI TR 101 041-2); repeat it as it is.
    """
    return _render((425.0,), 1.0, level) + bytes(2 * 4 * SAMPLE_RATE)


def digit_tone(digit: str, *, seconds: float = 0.1, level: float = -15.0) -> bytes:
    """Make the tone of a key (ITU-T Q.23), both its frequencies at `level`.

    Raises:
        ValueError: It is none of 0-9, *, #, A-D.
    """
    key = _KEYPAD.find(digit.upper()) if len(digit) == 1 else -1
    if key < 0:
        raise ValueError(f"{digit!r} is not a key of a telephone")
    return _render((_ROWS[key // 4], _COLUMNS[key % 4]), seconds, level)


def _render(frequencies: tuple[float, ...], seconds: float, level: float) -> bytes:
    count = round(seconds * SAMPLE_RATE)
    time = np.arange(count, dtype=np.float64) / SAMPLE_RATE
    amplitude = _FULL_SCALE * math.sqrt(2.0) * 10.0 ** (level / 20.0)
    sound = np.zeros(count)
    for frequency in frequencies:
        sound += amplitude * np.sin(2.0 * math.pi * frequency * time)
    sound *= _envelope(count)
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16).tobytes()


def _envelope(count: int) -> NDArray[np.float64]:
    """Rise and fall over 5 ms (less in a very short tone): a hard edge is heard as a click."""
    ramp = min(round(_RAMP_SECONDS * SAMPLE_RATE), count // 2)
    envelope = np.ones(count)
    if ramp:
        rise = 0.5 - 0.5 * np.cos(math.pi * (np.arange(ramp) + 0.5) / ramp)
        envelope[:ramp] = rise
        envelope[count - ramp :] = rise[::-1]
    return envelope
