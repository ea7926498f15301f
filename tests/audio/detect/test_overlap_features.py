"""The figures from which an overlap is decided."""

import numpy as np
import pytest

from bridge.audio.detect.overlap_features import (
    POSITION_FRAMES,
    WINDOW_FRAMES,
    Onset,
    Usual,
    features,
)
from bridge.audio.detect.overlap_weights import FEATURES
from bridge.audio.detect.voice_frame import BANDS, VoiceFrame

ALL = POSITION_FRAMES + WINDOW_FRAMES
LOUDER, SYLLABLES, PITCH, RISE, PAUSE = 0, 9, 12, 13, 15


def onset(levels=None, *, pitches=None, bot=None, usual=None):
    voices = [
        VoiceFrame(0.9, pitch, np.full(BANDS, -8.0))
        for pitch in (pitches or [120.0] * WINDOW_FRAMES)
    ]
    return features(
        Onset(levels or [-30.0] * WINDOW_FRAMES, voices, -60.0, bot or [True] * ALL, usual, age=18)
    )


def test_there_are_as_many_as_the_network_has():
    assert len(onset()) == FEATURES


def test_a_caller_is_compared_with_the_usual_voice():
    found = onset(usual=Usual(-36.0, 60.0))
    assert found[LOUDER] == pytest.approx(6.0)
    assert found[PITCH] == pytest.approx(1.0)


def test_a_caller_who_has_said_nothing_before_is_compared_with_nothing():
    found = onset()
    assert (found[LOUDER], found[PITCH]) == pytest.approx((0.0, 0.0))


def test_syllables_are_rises_after_dips():
    assert onset()[SYLLABLES] == 1
    assert onset([-30.0] * 5 + [-40.0] * 4 + [-30.0] * (WINDOW_FRAMES - 9))[SYLLABLES] == 2


def test_a_pitch_that_rises_is_seen():
    assert onset(pitches=[100.0] * (WINDOW_FRAMES - 9) + [200.0] * 9)[RISE] == pytest.approx(1.0)


@pytest.mark.parametrize(("quiet", "paused"), [(3, 0), (4, 1)])
def test_a_pause_of_the_bot_is_seen(quiet, paused):
    bot = [True] * (ALL - quiet) + [False] * quiet
    assert onset(bot=bot)[PAUSE] == paused


def test_silence_has_figures_too():
    silent = [VoiceFrame(0.0, 0.0, np.zeros(BANDS))] * WINDOW_FRAMES
    found = features(Onset([-127.0] * WINDOW_FRAMES, silent, -60.0, [False] * ALL, None, age=18))
    assert np.isfinite(found).all()
