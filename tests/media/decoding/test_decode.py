"""Which files are decoded; run in the test's own process, without the limits."""

import io
import json
import wave

import numpy as np
import pytest

from bridge.media.decoding import decode
from tests.support.sound.sound_files import gsm_wav, write


def unlocked():
    """Stand for the lock, which would hold the test's own process for good."""


@pytest.mark.parametrize(
    ("name", "kind", "codec", "rate"),
    [
        ("a.wav", "wav", "pcm_s16le", 44100),
        ("a.mp3", "mp3", "libmp3lame", 44100),
        ("a.flac", "flac", "flac", 44100),
        ("a.m4a", "ipod", "aac", 44100),
        ("a.opus", "ogg", "libopus", 48000),
        ("disguised.txt", "wav", "pcm_s16le", 22050),
        ("a.aiff", "aiff", "pcm_s16be", 44100),
        ("a.aac", "adts", "aac", 44100),
        ("a.mp4", "mp4", "libopus", 48000),
        ("a.webm", "webm", "libopus", 48000),
        ("a.mka", "matroska", "aac", 44100),
        ("a.amr", "amr", "libopencore_amrnb", 8000),
        ("a.3gp", "3gp", "libopencore_amrnb", 8000),
        ("adpcm.wav", "wav", "adpcm_ms", 8000),
        ("mulaw.wav", "wav", "pcm_mulaw", 8000),
        ("mulaw.aifc", "aiff", "pcm_mulaw", 8000),
    ],
)
def test_a_tone_of_every_format_comes_out_as_a_second_at_16_khz(tmp_path, name, kind, codec, rate):
    path = write(tmp_path / name, kind, codec, rate=rate)
    with path.open("rb", buffering=0) as file:
        pieces = list(decode.decode(file))
    samples = np.frombuffer(b"".join(pcm for _, pcm in pieces), np.int16)
    assert 15500 <= len(samples) <= 17500
    spectrum = np.abs(np.fft.rfft(samples[4000:12000].astype(float)))
    assert spectrum.argmax() * 16000 / 8000 == pytest.approx(440, abs=4)


def test_gsm_in_a_wav_file_is_played(tmp_path):
    """What answering machines write; no encoder is to be had, but every bit is a GSM frame's."""
    path = tmp_path / "a.wav"
    path.write_bytes(gsm_wav(seconds=1))
    with path.open("rb", buffering=0) as file:
        pieces = list(decode.decode(file))
    samples = np.frombuffer(b"".join(pcm for _, pcm in pieces), np.int16)
    assert len(samples) == pytest.approx(16000, abs=400)
    assert np.abs(samples.astype(int)).mean() > 100


@pytest.mark.parametrize(
    "content",
    [
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=audio 9 RTP/AVP 0\r\n",
        b"#EXTM3U\nhttp://127.0.0.1/secret\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<html>",
        b"",
        b"MThd\0\0\0\6",
    ],
)
def test_what_is_no_audio_file_is_refused_whatever_it_is_called(tmp_path, content):
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    answer = io.BytesIO()
    decode.serve(io.BytesIO(json.dumps({"path": str(path)}).encode() + b"\n"), answer, unlocked)
    assert "error" in json.loads(answer.getvalue())


@pytest.mark.parametrize("content", [b"RIFF\xff\xff\xff\xffWAVE", b"fLaC" + bytes(50), b"OggS"])
def test_a_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    answer = io.BytesIO()
    decode.serve(io.BytesIO(json.dumps({"path": str(path)}).encode() + b"\n"), answer, unlocked)
    assert "error" in json.loads(answer.getvalue())


def test_the_answer_tells_the_length_and_then_holds_the_sound(tmp_path):
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(b"\1\0" * 16000)
    answer = io.BytesIO()
    decode.serve(io.BytesIO(json.dumps({"path": str(path)}).encode() + b"\n"), answer, unlocked)
    head, _, pcm = answer.getvalue().partition(b"\n")
    assert json.loads(head) == {"duration": 1.0}
    assert pcm == b"\1\0" * 16000


def test_nothing_asked_is_nothing_answered():
    answer = io.BytesIO()
    decode.serve(io.BytesIO(b""), answer, unlocked)
    assert answer.getvalue() == b""
