"""Which files are decoded; run in the test's own process, without the limits."""

import io
import json
import wave

import numpy as np
import pytest

from bridge.media import decode
from tests.support.sound_files import write


@pytest.mark.parametrize(
    ("name", "kind", "codec", "rate"),
    [
        ("a.wav", "wav", "pcm_s16le", 44100),
        ("a.mp3", "mp3", "libmp3lame", 44100),
        ("a.flac", "flac", "flac", 44100),
        ("a.m4a", "ipod", "aac", 44100),
        ("a.opus", "ogg", "libopus", 48000),
        ("disguised.txt", "wav", "pcm_s16le", 22050),
    ],
)
def test_a_tone_of_every_format_comes_out_as_a_second_at_16_khz(tmp_path, name, kind, codec, rate):
    path = write(tmp_path / name, kind, codec, rate=rate)
    pieces = list(decode.decode(str(path)))
    samples = np.frombuffer(b"".join(pcm for _, pcm in pieces), np.int16)
    assert 15500 <= len(samples) <= 17500
    spectrum = np.abs(np.fft.rfft(samples[4000:12000].astype(float)))
    assert spectrum.argmax() * 16000 / 8000 == pytest.approx(440, abs=4)


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
    decode.serve(io.BytesIO(json.dumps({"path": str(path)}).encode() + b"\n"), answer)
    assert "error" in json.loads(answer.getvalue())


@pytest.mark.parametrize("content", [b"RIFF\xff\xff\xff\xffWAVE", b"fLaC" + bytes(50), b"OggS"])
def test_a_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    answer = io.BytesIO()
    decode.serve(io.BytesIO(json.dumps({"path": str(path)}).encode() + b"\n"), answer)
    assert "error" in json.loads(answer.getvalue())


def test_the_answer_tells_the_length_and_then_holds_the_sound(tmp_path):
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(b"\1\0" * 16000)
    answer = io.BytesIO()
    decode.serve(io.BytesIO(json.dumps({"path": str(path)}).encode() + b"\n"), answer)
    head, _, pcm = answer.getvalue().partition(b"\n")
    assert json.loads(head) == {"duration": 1.0}
    assert pcm == b"\1\0" * 16000


def test_nothing_asked_is_nothing_answered():
    answer = io.BytesIO()
    decode.serve(io.BytesIO(b""), answer)
    assert answer.getvalue() == b""
