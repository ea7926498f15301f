"""Sound files in every format that is played, and the pieces of which broken ones are made."""

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
    """Give a WAV file whose header claims what it is told to, `claims` bytes of sound for one."""
    block = channels * bits // 8
    form = struct.pack(
        "<HHIIHH", code, channels, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits
    )
    size = len(data) if claims is None else claims
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", min(size + 36, 0xFFFFFFFF)) + b"WAVE" + chunks + data
