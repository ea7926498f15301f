"""Questions spoken by espeak-ng, as a recogniser of speech gets them."""

import numpy as np

from bridge.audio.frame import SAMPLE_RATE
from tests.support.sound.greetings import Greeting, spoken

VOICES = ("en-us", "en-us+f2", "en-us+f3", "en-us+m3", "en-gb", "en-us+f5")


def utterance(text, voice="en-us", *, noise_db=None, seed=0):
    """Return what a voice says with a little silence around it, as 16-bit samples.

    Args:
        text: What it says.
        voice: Of espeak-ng, with its variant.
        noise_db: Power of the voice against that of white noise, in dB; None for no noise.
        seed: Of the noise.
    """
    speech = 0.35 * spoken(Greeting(voice, text, True)) / 0.7
    sound = np.concatenate([np.zeros(SAMPLE_RATE // 3), speech, np.zeros(SAMPLE_RATE // 4)])
    if noise_db is not None:
        power = np.mean(speech**2) / 10 ** (noise_db / 10)
        sound += np.random.default_rng(seed).normal(0, np.sqrt(power), len(sound))
    return (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()
