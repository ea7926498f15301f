"""What callers say, as sound."""

from pathlib import Path

import numpy as np
import pytest

from bridge.audio.detect.level import level
from bridge.audio.file.wav import make_header
from bridge.rehearse.scenario import Caller, Noise, Play, Say, Scenario
from bridge.rehearse.scenario_file import ScenarioError
from bridge.rehearse.voices import Voices, mixed, scaled, trimmed

TONE = (8000 * np.sin(np.arange(16_000) / 5)).astype("<i2").tobytes()


def scenario(folder: Path, *steps: object, **caller: object) -> Scenario:
    return Scenario(steps=steps, caller=Caller(**caller), file=str(folder / "a.toml"))  # type: ignore[arg-type]


def test_silence_around_a_word_is_cut():
    assert trimmed(bytes(16_000) + TONE + bytes(16_000))[:32_000] == TONE[:32_000]


def test_a_level_is_relative_to_full_scale():
    assert level(scaled(TONE, -30.0)) == pytest.approx(-30.0, abs=0.2)


def test_voices_are_mixed_over_the_longest():
    assert len(mixed([TONE, TONE[:100]])) == len(TONE)


async def test_a_wav_file_is_played_as_it_is(tmp_path: Path):
    (tmp_path / "a.wav").write_bytes(make_header(len(TONE)) + TONE)
    cues = await Voices(tmp_path / "cache").cues(scenario(tmp_path, Play(play="a.wav")))
    assert cues[2].sound == TONE


async def test_what_is_no_wav_file_is_a_mistake_of_the_scenario(tmp_path: Path):
    (tmp_path / "a.wav").write_bytes(b"x" * 100)
    with pytest.raises(ScenarioError, match=r"a\.toml: .*a\.wav: "):
        await Voices(tmp_path / "cache").cues(scenario(tmp_path, Play(play="a.wav")))


async def test_a_caller_who_cannot_speak_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ScenarioError, match="apt-get install espeak-ng"):
        await Voices(tmp_path).cues(scenario(tmp_path, Say(say="Hello.")))


@pytest.mark.espeak
async def test_a_text_is_spoken_once_and_then_read_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first = await Voices(tmp_path).speak("Hello.", "en-us", 160, 50)
    monkeypatch.setenv("PATH", "")
    assert await Voices(tmp_path).speak("Hello.", "en-us", 160, 50) == first
    assert len(first) > 8000


@pytest.mark.espeak
async def test_a_voice_that_nobody_has_is_a_mistake(tmp_path: Path):
    with pytest.raises(ScenarioError, match="has no voice 'nobody'"):
        await Voices(tmp_path).speak("Hello.", "nobody", 160, 50)


@pytest.mark.full
@pytest.mark.espeak
async def test_a_babble_of_voices_lies_behind_the_caller_from_the_beginning_on(tmp_path: Path):
    cues = await Voices(tmp_path).cues(scenario(tmp_path, noise="babble"))
    assert isinstance(cues[0].step, Noise)
    assert len(cues[0].sound) > 64_000
