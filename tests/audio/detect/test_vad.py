from pathlib import Path

import numpy as np
import pytest

from bridge.audio.detect.level import level
from bridge.audio.detect.vad import Vad, noise_floor
from bridge.audio.file.wav import parse_wav
from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES, SILENCE

SPEECH = Path(__file__).parents[2] / "support" / "sound" / "speech" / "male_gb.wav"


def noise(dbov, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(0, 32768 * 10 ** (dbov / 20), FRAME_SAMPLES)).astype(np.int16).tobytes()


def feed(vad, dbov, seconds):
    return [vad.push(noise(dbov, seed)) for seed in range(round(seconds / 0.02))]


def test_nobody_speaks_in_digital_silence():
    vad = Vad()
    assert not any(vad.push(SILENCE) for _ in range(100))
    assert not vad.speaking
    assert vad.silence_seconds == pytest.approx(2.0)


def test_a_voice_is_noticed_in_its_first_frame():
    vad = Vad()
    feed(vad, -65, 1.0)
    assert vad.push(noise(-25))
    assert vad.speaking


def test_speaking_outlasts_the_voice_by_the_hangover():
    vad = Vad(hangover=0.2)
    feed(vad, -25, 0.5)
    for _ in range(10):
        vad.push(SILENCE)
        assert vad.speaking
    vad.push(SILENCE)
    assert not vad.speaking


def test_silence_is_counted_from_the_last_loud_frame():
    vad = Vad()
    feed(vad, -25, 0.4)
    assert vad.silence_seconds == 0
    for _ in range(35):
        vad.push(SILENCE)
    assert vad.silence_seconds == pytest.approx(0.7)
    assert vad.seconds == pytest.approx(1.1)


def test_steady_noise_becomes_the_floor_within_two_seconds():
    vad = Vad()
    feed(vad, -45, 2.0)
    assert vad.noise_dbov == pytest.approx(-45, abs=2)
    assert not any(feed(vad, -45, 1.0))
    assert vad.push(noise(-25))


def test_the_floor_falls_at_once_when_it_becomes_quiet():
    vad = Vad()
    feed(vad, -40, 5.0)
    feed(vad, -70, 0.02)
    assert vad.push(noise(-50))


def test_a_steady_loud_voice_stays_a_voice():
    vad = Vad()
    assert all(feed(vad, -20, 10.0))


def test_most_of_a_spoken_sentence_is_speech_and_the_pause_after_it_is_not():
    speech = parse_wav(SPEECH.read_bytes()).pcm
    frames = [speech[at : at + FRAME_BYTES] for at in range(0, len(speech), FRAME_BYTES)]
    vad = Vad()
    speaking = []
    for pcm in frames:
        vad.push(pcm)
        speaking.append(vad.speaking)
    loudest = [level(pcm) > -35 for pcm in frames]
    missed = sum(loud and not active for loud, active in zip(loudest, speaking, strict=True))
    assert missed == 0
    assert 0.6 < sum(speaking) / len(speaking) < 0.98


def test_the_background_is_the_quietest_frame_of_the_last_two_seconds_whatever_came_before():
    vad, chance = Vad(), np.random.default_rng(1)
    for amplitude in chance.integers(1, 2000, 500):
        vad.push(np.full(320, amplitude, "<i2").tobytes())
        assert vad.noise_dbov == noise_floor(vad.levels())
