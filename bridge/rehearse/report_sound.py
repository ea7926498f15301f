"""The audio of a rehearsed call for a page: Opus in WebM, the caller left and the bot right. Pure."""

from base64 import b64encode
from io import BytesIO
from typing import Final

import av
import numpy as np

from bridge.audio.frame import SAMPLE_RATE

BIT_RATE: Final = 40_000
"""More than wideband speech of two channels needs, little enough for fifty calls on a page."""
_PIECE: Final = SAMPLE_RATE // 10
"""Samples that are encoded at once."""


def webm(said: bytes, heard: bytes) -> bytes:
    """Return both sides of a call as one file; `said` and `heard` are s16le, mono, 16 kHz and equally long."""
    sides = [np.frombuffer(side, "<i2") for side in (said, heard)]
    samples = np.stack(sides, axis=1).reshape(1, -1)
    written = BytesIO()
    with av.open(written, "w", format="webm") as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE, layout="stereo")
        stream.bit_rate = BIT_RATE
        for start in range(0, samples.shape[1], 2 * _PIECE):
            piece = np.ascontiguousarray(samples[:, start : start + 2 * _PIECE])
            frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="stereo")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start // 2
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return written.getvalue()


def data_uri(said: bytes, heard: bytes) -> str:
    """Return the same as a data URI; empty if there is no audio."""
    if not said:
        return ""
    return f"data:audio/webm;base64,{b64encode(webm(said, heard)).decode()}"
