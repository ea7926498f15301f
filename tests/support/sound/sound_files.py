"""Sound files in every format that is played, and the pieces of which broken ones are made."""

import random
import struct
from pathlib import Path

import av
import numpy as np


def write(path: Path, kind: str, codec: str, *, seconds: float = 1.0, rate: int = 44100) -> Path:
    """Write a tone of 440 Hz."""
    moments = np.arange(int(seconds * rate)) / rate
    tone = (np.sin(2 * np.pi * 440 * moments) * 12000).astype(np.int16)
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(tone.reshape(1, -1), format="s16", layout="mono")
        frame.rate = rate
        resampler = av.AudioResampler(
            format=stream.codec_context.format, layout="mono", rate=rate, frame_size=1024
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def wav_claiming(
    *,
    rate: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    code: int = 1,
    claims: int | None = None,
    data: bytes = bytes(32_000),
) -> bytes:
    """Return a WAV file whose header claims what it is told to, `claims` bytes of sound for one."""
    block = channels * bits // 8
    form = struct.pack(
        "<HHIIHH", code, channels, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits
    )
    size = len(data) if claims is None else claims
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", min(size + 36, 0xFFFFFFFF)) + b"WAVE" + chunks + data


def gsm_wav(*, seconds: int) -> bytes:
    """Return noise as GSM 06.10 in a WAV file: blocks of 65 bytes for 320 samples at 8 kHz."""
    blocks = seconds * 25
    noise = random.Random("noise").randbytes(65 * blocks)
    form = struct.pack("<HHIIHHHH", 0x31, 1, 8000, 1625, 65, 0, 2, 320)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"fact" + struct.pack("<II", 4, 320 * blocks)
    chunks += b"data" + struct.pack("<I", len(noise)) + noise
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks
