"""Speech of the bot, by espeak-ng, and the two encodings it is sent in."""

import subprocess
from functools import cache

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]
ESPEAK_RATE = 22_050
WAV_HEADER = 44
LOUDNESS = 0.6


@cache
def spoken(text: str, rate: int, voice: str = "en-us") -> Pcm:
    """Return a text as samples at a rate."""
    command = ["espeak-ng", "-v", voice, "-s", "150", "--stdout", text]
    wav = subprocess.run(command, capture_output=True, check=True).stdout[WAV_HEADER:]
    made = np.frombuffer(wav, "<i2", len(wav) // 2) * LOUDNESS
    loud = np.flatnonzero(np.abs(made) > 100)
    made = made[loud[0] : loud[-1]] if len(loud) else made  # no silence before and after it
    if rate < ESPEAK_RATE:  # nothing above half the rate, which would be heard as something else
        taps = np.arange(-100, 101) * 0.9 * rate / ESPEAK_RATE
        low_pass = np.sinc(taps) * np.hanning(201)
        made = np.convolve(made, low_pass / low_pass.sum(), "same")
    at = np.arange(0, len(made) - 1, ESPEAK_RATE / rate)
    return np.interp(at, np.arange(len(made)), made).astype(np.int16)


def from_mulaw(data: bytes) -> Pcm:
    """Decode G.711 mu-law."""
    code = ~np.frombuffer(data, np.uint8)
    magnitude = (((code & 0x0F).astype(np.int32) << 3) + 132 << ((code >> 4) & 7)) - 132
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def to_mulaw(pcm: Pcm) -> bytes:
    """Encode G.711 mu-law."""
    magnitude = np.minimum(np.abs(pcm.astype(np.int32)), 32_635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    code = (np.where(pcm < 0, 0x80, 0) | exponent << 4 | mantissa).astype(np.uint8)
    return (~code).tobytes()
