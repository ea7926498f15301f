import numpy as np
import pytest

from bridge.audio.frame import SAMPLE_RATE
from bridge.audio.level import level
from bridge.audio.tones import beep, digit_tone, ring_back, sine


def strongest(pcm, count):
    sound = np.frombuffer(pcm, np.int16).astype(float)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 16 * len(sound)))
    found = []
    for _ in range(count):
        peak = int(np.argmax(spectrum))
        found.append(peak * SAMPLE_RATE / (16 * len(sound)))
        spectrum[max(0, peak - 40) : peak + 40] = 0
    return sorted(found)


def test_a_sine_has_its_frequency_length_and_level():
    pcm = sine(1000, 0.5, level=-20)
    assert len(pcm) == 2 * 8000
    assert strongest(pcm, 1) == [pytest.approx(1000, abs=2)]
    assert level(pcm) == pytest.approx(-20, abs=0.2)


def test_a_tone_begins_and_ends_softly():
    sound = np.frombuffer(beep(), np.int16)
    assert abs(int(sound[0])) < 30
    assert abs(int(sound[-1])) < 30


@pytest.mark.parametrize(
    ("digit", "row", "column"),
    [("1", 697, 1209), ("6", 770, 1477), ("0", 941, 1336), ("*", 941, 1209), ("#", 941, 1477),
     ("A", 697, 1633), ("d", 941, 1633)],
)  # fmt: skip
def test_a_key_sounds_with_its_row_and_its_column(digit, row, column):
    low, high = strongest(digit_tone(digit), 2)
    assert low == pytest.approx(row, rel=0.015)
    assert high == pytest.approx(column, rel=0.015)


def test_the_loudest_tone_is_clipped_and_does_not_wrap():
    sound = np.frombuffer(digit_tone("5", level=0), np.int16).astype(int)
    assert sound.max() == 32767
    assert np.abs(np.diff(sound)).max() < 40_000


@pytest.mark.parametrize("digit", ["", "E", "11", "é"])
def test_what_is_no_key_has_no_tone(digit):
    with pytest.raises(ValueError, match="not a key"):
        digit_tone(digit)


def test_ringing_is_one_second_in_five():
    pcm = ring_back()
    assert len(pcm) == 2 * 5 * SAMPLE_RATE
    assert level(pcm[: 2 * SAMPLE_RATE]) == pytest.approx(-25, abs=0.2)
    assert not any(pcm[2 * SAMPLE_RATE :])


def test_a_tone_of_no_length_is_empty():
    assert sine(440, 0.0) == b""
