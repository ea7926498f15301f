import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bridge.audio.frame import FRAME_SAMPLES, SILENCE
from bridge.audio.mixer import mix, mix_many

samples = st.integers(-32768, 32767)


def frame(value):
    return np.full(FRAME_SAMPLES, value, np.int16).tobytes()


def value(pcm):
    values = np.frombuffer(pcm, np.int16)
    assert len(values) == FRAME_SAMPLES
    assert len(set(values.tolist())) == 1
    return int(values[0])


def test_nothing_mixed_is_silence():
    assert mix([]) == SILENCE


def test_one_frame_passes_untouched():
    pcm = frame(1234)
    assert mix([pcm]) is pcm


@given(st.lists(samples, min_size=2, max_size=6))
def test_frames_add_up_and_clip_at_full_scale(values):
    assert value(mix([frame(each) for each in values])) == min(32767, max(-32768, sum(values)))


def test_each_sample_is_added_to_its_own_counterpart():
    rising = np.arange(FRAME_SAMPLES, dtype=np.int16)
    mixed = np.frombuffer(mix([rising.tobytes(), rising[::-1].tobytes()]), np.int16)
    assert set(mixed.tolist()) == {FRAME_SAMPLES - 1}


def test_mixing_leaves_the_frames_as_they_are():
    first, second = frame(10), frame(20)
    mix([first, second, first])
    assert (first, second) == (frame(10), frame(20))


def test_many_frames_are_mixed_as_each_by_itself():
    one, other = [frame(1), frame(30_000), frame(-5)], [frame(2), frame(30_000), frame(5)]
    expected = [mix(list(pair)) for pair in zip(one, other, strict=True)]
    assert mix_many([one, other], 3) == expected


def test_many_frames_of_one_source_pass_untouched():
    frames = [frame(1), frame(2)]
    assert mix_many([frames], 2) is frames


def test_many_frames_of_nobody_are_silence():
    assert mix_many([], 2) == [SILENCE, SILENCE]
