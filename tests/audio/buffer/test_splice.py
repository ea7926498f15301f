import numpy as np
import pytest

from bridge.audio.buffer.splice import CONCEALED_FRAMES, Concealment, lengthen, shorten
from bridge.audio.detect.level import level
from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE


def hum(frequency, *, start=0, frames=1, amplitude=8000):
    time = (start * FRAME_SAMPLES + np.arange(frames * FRAME_SAMPLES)) / SAMPLE_RATE
    return (amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.int16).tobytes()


def steepest(*parts):
    return int(np.abs(np.diff(np.frombuffer(b"".join(parts), np.int16).astype(int))).max())


@pytest.mark.parametrize("frequency", [130, 200, 333])
def test_shortening_joins_without_a_click(frequency):
    frames = [hum(frequency, start=number) for number in range(4)]
    joined = [frames[0], shorten(frames[1], frames[2]), frames[3]]
    assert len(joined[1]) == FRAME_BYTES
    assert steepest(*joined) <= 1.5 * steepest(*frames)


@pytest.mark.parametrize("frequency", [130, 200, 333])
def test_lengthening_joins_without_a_click(frequency):
    frames = [hum(frequency, start=number) for number in range(4)]
    between = lengthen(frames[1], frames[2])
    assert len(between) == FRAME_BYTES
    assert steepest(frames[0], frames[1], between, frames[2], frames[3]) <= 1.5 * steepest(*frames)


def test_a_shortened_frame_begins_like_the_first_and_ends_like_the_second():
    first, second = hum(200), hum(330, start=1)
    joined = shorten(first, second)
    seam = next(at for at in range(0, FRAME_BYTES, 2) if joined[at : at + 2] != first[at : at + 2])
    assert joined[seam + 160 :] == second[seam + 160 :]


@pytest.mark.parametrize("frequency", [80, 130, 200, 333])
def test_a_hum_goes_on_at_its_pitch(frequency):
    sound = Concealment(hum(frequency, frames=2)).frame(1)
    going_on = np.frombuffer(hum(frequency, start=2), np.int16).astype(float)
    made_up = np.frombuffer(sound, np.int16).astype(float)
    likeness = np.dot(going_on, made_up) / np.linalg.norm(going_on) / np.linalg.norm(made_up)
    assert likeness > 0.95
    assert steepest(hum(frequency, frames=2), sound) <= 1.5 * steepest(hum(frequency, frames=2))


def test_made_up_sound_fades_out():
    concealment = Concealment(hum(200, frames=2))
    levels = [level(concealment.frame(number)) for number in range(1, CONCEALED_FRAMES + 1)]
    assert levels == sorted(levels, reverse=True)
    assert concealment.frame(CONCEALED_FRAMES + 1) == bytes(FRAME_BYTES)


@pytest.mark.parametrize("played", [0, 1, 2, 3, 10])
def test_a_real_frame_fades_in_over_5_ms_and_is_whole_after(played):
    real = hum(170, start=7)
    blended = Concealment(hum(200, frames=2)).blend(real, played)
    assert blended[160:] == real[160:]
    assert blended[:160] != real[:160]


def test_made_up_silence_is_silence():
    concealment = Concealment(bytes(2 * FRAME_BYTES))
    assert concealment.frame(1) == bytes(FRAME_BYTES)


def test_the_loudest_sound_does_not_wrap():
    history = np.tile(np.array([32767] * 40 + [-32768] * 40, np.int16), 8).tobytes()
    concealment = Concealment(history)
    first = np.frombuffer(concealment.frame(1), np.int16)
    assert first[:30].min() > 20000
