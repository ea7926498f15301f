"""The ring-back tone."""

import numpy as np
import pytest

from bridge.audio.frame import FRAME_BYTES, SAMPLE_RATE
from bridge.audio.tone import NORTH_AMERICA, PEAK, TONES, Ringback


def pcm(tone, seconds):
    source = Ringback(tone)
    frames = [source.pull() for _ in range(round(seconds * 50))]
    assert {len(frame) for frame in frames} == {FRAME_BYTES}
    return np.frombuffer(b"".join(frames), "<i2")


@pytest.mark.parametrize("tone", TONES.values(), ids=TONES)
def test_a_tone_has_its_frequencies_and_cadence_and_repeats(tone):
    period = sum(tone.cadence)
    twice = pcm(tone, 2 * period)
    assert np.array_equal(twice[: len(twice) // 2], twice[len(twice) // 2 :])
    sounds = round(tone.cadence[0] * SAMPLE_RATE)
    pause = twice[sounds : sounds + round(tone.cadence[1] * SAMPLE_RATE)]
    assert not pause.any()
    spectrum = np.abs(np.fft.rfft(twice[:sounds]))
    loudest = np.argsort(spectrum)[-len(tone.hertz) :] * SAMPLE_RATE / sounds
    assert sorted(loudest) == pytest.approx(sorted(tone.hertz), abs=3)


def test_a_tone_of_two_frequencies_is_no_louder_than_its_peak():
    assert np.abs(pcm(NORTH_AMERICA, 2)).max() <= PEAK
