"""Sounds made for the bench: a tone, as WAV and as an MP3 file of any length."""

import io
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.bench.measure import THRESHOLD_DB
from tests.support.packets.opus_packets import RATE
from tests.support.sound.speech_compare import Pcm

_MP3_RATE = 48_000
_PART_SECONDS = 60
_BLOCK_SECONDS = 0.0025


def tone(*, seconds: float, rate: int = RATE, hertz: float = 500.0) -> Pcm:
    """Make a tone that is loud from its first sample on."""
    moments = np.arange(round(seconds * rate)) / rate
    sound: Pcm = (10_000 * np.cos(2 * np.pi * hertz * moments)).astype(np.int16)
    return sound


def wav(sound: Pcm, rate: int = RATE) -> bytes:
    """Return mono 16-bit sound as a WAV file."""
    content = io.BytesIO()
    with wave.open(content, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes(sound.astype("<i2").tobytes())
    return content.getvalue()


def write_long_mp3(path: Path, *, seconds: int) -> float:
    """Write a tone of many minutes at 64 kb/s: one minute, encoded once and repeated.

    Returns:
        Seconds of silence before its sound, which MP3 encoders put there.
    """
    minute = _encode(tone(seconds=_PART_SECONDS, rate=_MP3_RATE))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for _ in range(seconds // _PART_SECONDS):
            file.write(minute)
    return _lead(path)


def _encode(sound: Pcm) -> bytes:
    """Encode as plain frames, without a head that would count them."""
    content = io.BytesIO()
    with av.open(
        content, "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"}
    ) as out:
        stream = out.add_stream("libmp3lame", rate=_MP3_RATE, layout="mono")
        stream.bit_rate = 64_000
        frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="s16p", layout="mono")
        frame.sample_rate = _MP3_RATE
        frame.pts, frame.time_base = 0, Fraction(1, _MP3_RATE)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)
    return content.getvalue()


def _lead(path: Path) -> float:
    """Decode the beginning of a file and find where its sound is."""
    size, passed = round(_BLOCK_SECONDS * _MP3_RATE), 0
    with av.open(str(path)) as file:
        for frame in file.decode(audio=0):
            sound = frame.to_ndarray().reshape(-1).astype(float)
            for begin in range(0, len(sound), size):
                power = float(np.mean(np.square(sound[begin : begin + size])))
                if power > 10 ** (THRESHOLD_DB / 10):
                    return (passed + begin) / _MP3_RATE
            passed += len(sound)
    raise ValueError(f"{path.name} is silent")
