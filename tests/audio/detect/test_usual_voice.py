"""How a caller usually speaks."""

import pytest

from bridge.audio.detect.usual_voice import KNOWN_FRAMES, UsualVoice
from tests.audio.detect.test_voice_frame import harmonic


def test_a_caller_who_has_hardly_spoken_is_not_known():
    usual = UsualVoice()
    for _ in range(KNOWN_FRAMES - 1):
        usual.note(harmonic(120), -30.0)
    assert usual.usual is None


def test_level_and_pitch_are_those_of_what_was_said():
    usual = UsualVoice()
    for _ in range(50):
        usual.note(harmonic(120), -30.0)
    found = usual.usual
    assert found is not None
    assert found.dbov == pytest.approx(-30.0)
    assert found.pitch == pytest.approx(120, rel=0.03)


def test_what_was_said_long_ago_is_forgotten():
    usual, voice = UsualVoice(), harmonic(120)
    for loudness in (-20.0, -40.0):
        for _ in range(2000):
            usual.note(voice, loudness)
    found = usual.usual
    assert found is not None
    assert found.dbov == pytest.approx(-40.0, abs=0.5)


def test_voices_behind_the_caller_do_not_count():
    usual = UsualVoice()
    for pitch, loudness in ((220, -45.0), (120, -25.0), (220, -45.0)):
        for _ in range(100):
            usual.note(harmonic(pitch), loudness)
    found = usual.usual
    assert found is not None
    assert found.dbov == pytest.approx(-25.0)
    assert found.pitch == pytest.approx(120, rel=0.03)
