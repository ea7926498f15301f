"""The playout buffer over hours, simulated: clocks that differ, with jitter, losses and jumps."""

import random

import numpy as np
import pytest

from bridge.audio.buffer.playout import Playout
from bridge.audio.frame import FRAME_SAMPLES, SAMPLE_RATE, Frame

HUM = (6000 * np.sin(2 * np.pi * 200 * np.arange(FRAME_SAMPLES) / SAMPLE_RATE)).astype(np.int16)
VOICE, QUIET = HUM.tobytes(), bytes(2 * FRAME_SAMPLES)


class Hours:
    """A source and the clock, each by its own time."""

    def __init__(self, *, drift: float, jitter: float = 0.0, loss: float = 0.0, seed: int = 1):
        self.playout = Playout()
        self.delays: list[float] = []
        self.silent = 0
        self._chance = random.Random(seed)
        self._step = 0.02 * (1 + drift)
        self._jitter, self._loss = jitter, loss
        self._sent, self._last, self._pts, self._tick = 0, 0.0, 0, 0
        self._due = 0.0

    def run(self, seconds: float, *, epoch: object = 0, quiet: bool = False) -> None:
        """Let time pass."""
        for _ in range(round(seconds / 0.02)):
            now = 0.011 + self._tick * 0.02
            self._tick += 1
            while self._due <= now:
                if self._chance.random() >= self._loss:
                    pcm = QUIET if quiet else VOICE
                    self.playout.push(Frame(pcm, self._pts, epoch), self._due)
                self._pts += FRAME_SAMPLES
                self._sent += 1
                late = self._chance.random() * self._jitter
                self._due = max(self._due, self._sent * self._step + late)
            self.silent += self.playout.pull(now) is None
            if self._tick % 50 == 0:
                self.delays.append(self.playout.delay_seconds)

    def jump(self, samples: int) -> None:
        """Set the source's count anew."""
        self._pts += samples


@pytest.mark.parametrize("drift", [300e-6, -300e-6])
def test_an_hour_of_drift_with_jitter_neither_starve_nor_overflow(drift):
    hours = Hours(drift=drift, jitter=0.020)
    hours.run(3600)
    playout = hours.playout
    assert (playout.dropped, playout.late, hours.silent) == (0, 0, 0)
    assert playout.concealed <= 2
    assert 0.015 <= min(hours.delays[2:]) <= max(hours.delays[2:]) <= 0.080
    assert playout.inserted + playout.removed <= 3600 * 300e-6 / 0.02 + 10


@pytest.mark.parametrize("drift", [300e-6, -300e-6])
def test_drift_with_losses_adds_no_delay(drift):
    hours = Hours(drift=drift, jitter=0.010, loss=0.05)
    hours.run(600)
    playout = hours.playout
    assert (playout.dropped, playout.late) == (0, 0)
    assert max(hours.delays[2:]) <= 0.080
    # Each lost frame is made up once, and nothing else is.
    assert playout.concealed == pytest.approx(30_000 * 0.05, rel=0.2)


@pytest.mark.parametrize("jump", [50_000_000, -50_000_000, SAMPLE_RATE * 3, 7])
def test_a_count_that_jumps_every_minute_adds_no_delay(jump):
    hours = Hours(drift=300e-6)
    for minute in range(10):
        hours.run(60, epoch=minute // 2)
        hours.jump(jump)
    assert hours.playout.dropped == 0
    assert max(hours.delays[2:]) <= 0.060
    assert hours.silent <= 2 * 10


def test_after_an_hour_of_silence_the_delay_is_that_of_the_network():
    hours = Hours(drift=-300e-6)
    hours.run(3600, quiet=True)
    hours.run(10)
    assert 0.015 <= hours.playout.delay_seconds <= 0.045
    assert (hours.playout.concealed, hours.silent) == (0, 0)
