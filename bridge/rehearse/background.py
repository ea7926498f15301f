"""Background noise and packet loss between the scripted caller and the bridge. Pure."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bridge.audio.codec.loss_concealment import LossConcealment
from bridge.audio.frame import FRAME_SAMPLES, SAMPLE_RATE
from bridge.rehearse.scenario import Loss, Noise

ROOM_DBOV: Final = -65.0
"""Level of the noise of a quiet room, which is always there: a caller who listens is not muted."""
LOOP_SECONDS: Final = 10
HUM_HERTZ: Final = 50.0
FULL_SCALE: Final = 32768.0

Sound = NDArray[np.float64]


class Background:
    """Adds noise to a voice, and drops frames of it; the same seed gives the same noise and drops the same frames."""

    def __init__(self, level: float, seed: int) -> None:
        """`level` is that of the voice, in dB relative to full scale."""
        self._level = level
        self._chance = np.random.default_rng((seed, 1))
        self._generator = np.random.default_rng((seed, 0))
        self._room = at_level(self._made("white"), ROOM_DBOV)
        self._noise: Sound | None = None
        self._place = 0
        self._loss = 0.0
        self._concealment = LossConcealment(SAMPLE_RATE)

    def change(self, step: Noise | Loss, sound: bytes = b"") -> None:
        """Change the noise or the loss from now on; `sound` is the noise where it is not a synthetic one."""
        if isinstance(step, Loss):
            self._loss = step.loss / 100
        elif step.noise == "none":
            self._noise = None
        else:
            found = np.frombuffer(sound, "<i2").astype(float) if sound else self._made(step.noise)
            self._noise = at_level(
                np.resize(found, max(len(found), FRAME_SAMPLES)), self._level - step.snr
            )
            self._place = 0

    def add(self, voice: bytes) -> bytes:
        """Return 20 ms of the voice with noise, or what conceals their loss."""
        samples = np.frombuffer(voice, "<i2") + self._next(self._room)
        if self._noise is not None:
            samples = samples + self._next(self._noise)
        self._place += FRAME_SAMPLES
        carried = np.clip(np.rint(samples), -32768, 32767).astype(np.float32)
        if self._loss and self._chance.random() < self._loss:
            carried = self._concealment.conceal(FRAME_SAMPLES)
        elif self._loss or self._concealment.concealing:
            carried = self._concealment.receive(carried)
        return bytes(np.clip(carried, -32768, 32767).astype("<i2").tobytes())

    def _next(self, noise: Sound) -> Sound:
        """Return the next 20 ms of a noise, which is looped."""
        begin = self._place % (len(noise) // FRAME_SAMPLES * FRAME_SAMPLES)
        return noise[begin : begin + FRAME_SAMPLES]

    def _made(self, kind: str) -> Sound:
        count = LOOP_SECONDS * SAMPLE_RATE
        white = self._generator.normal(0.0, 1.0, count)
        if kind == "pink":
            spectrum = np.fft.rfft(white)
            hertz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
            return np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 50.0)), count)
        if kind == "hum":
            time = np.arange(count) / SAMPLE_RATE
            return sum(
                (np.sin(2 * np.pi * HUM_HERTZ * part * time) / part for part in (1, 2, 3, 5, 7)),
                np.zeros(count),
            )
        return white


def at_level(sound: Sound, dbov: float) -> Sound:
    """Scale a sound to a level, in dB relative to full scale; silence stays silence."""
    loudness = float(np.sqrt(np.mean(sound**2))) if len(sound) else 0.0
    return sound * (FULL_SCALE * 10 ** (dbov / 20) / (loudness or 1.0))
