"""Sounds made for the bench."""

import io
import wave

import av

from tests.bench.generators.made_sounds import tone, wav, write_long_mp3


def test_a_tone_is_loud_from_its_first_sample_on():
    assert tone(seconds=0.1)[0] == 10_000


def test_a_wav_file_holds_the_tone():
    with wave.open(io.BytesIO(wav(tone(seconds=0.5)))) as file:
        assert (file.getframerate(), file.getnframes()) == (16_000, 8000)


def test_a_long_file_is_as_long_as_asked_and_begins_with_little_silence(tmp_path):
    lead = write_long_mp3(tmp_path / "long.mp3", seconds=180)
    with av.open(str(tmp_path / "long.mp3")) as file:
        seconds = sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))
    assert 180 <= seconds < 180.5
    assert 0 <= lead < 0.06
