"""Opus for the test peers, through PyAV, which is not what the bridge calls libopus through."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

RATE = 16_000
FRAME = 320


def encode(
    pcm: NDArray[np.int16], *, bitrate: int = 24_000, application: str = "voip", complexity: int = 5
) -> list[bytes]:
    """Encode mono 16 kHz sound into packets of 20 ms; the last one is filled up with silence."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate = RATE
    encoder.layout = "mono"
    encoder.format = av.AudioFormat("s16")
    encoder.bit_rate = bitrate
    encoder.options = {
        "application": application,
        "frame_duration": "20",
        "compression_level": str(complexity),
    }
    count = -(-len(pcm) // FRAME)
    padded = np.zeros(count * FRAME, dtype=np.int16)
    padded[: len(pcm)] = pcm
    packets: list[bytes] = []
    for index, piece in enumerate(padded.reshape(count, 1, FRAME)):
        frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = index * FRAME
        frame.time_base = Fraction(1, RATE)
        packets.extend(bytes(packet) for packet in encoder.encode(frame))
    packets.extend(bytes(packet) for packet in encoder.encode(None))
    return packets[:count]


class PacketDecoder:
    """Decodes one stream, a packet at a time, to mono at 48 kHz (PyAV offers no other rate)."""

    RATE = 48_000

    def __init__(self) -> None:
        decoder = av.CodecContext.create("libopus", "r")
        assert isinstance(decoder, av.AudioCodecContext)
        decoder.sample_rate = self.RATE
        decoder.layout = "mono"
        self._decoder = decoder

    def decode(self, payload: bytes) -> NDArray[np.float64]:
        """Decode one packet; samples between -1 and 1."""
        parts = [_mono(frame) for frame in self._decoder.decode(av.Packet(payload))]
        return np.concatenate(parts) if parts else np.zeros(0)


def decode(packets: Iterable[bytes] | Sequence[bytes]) -> NDArray[np.int16]:
    """Decode packets that follow one another to mono int16 at 16 kHz (every third of 48 kHz)."""
    decoder = PacketDecoder()
    parts = [decoder.decode(packet) for packet in packets]
    sound = np.concatenate(parts) if parts else np.zeros(0)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    if not len(sound):
        return np.zeros(0, dtype=np.int16)
    whole = np.clip(np.rint(sound * 32767), -32768, 32767).astype(np.int16).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
    frame.sample_rate = PacketDecoder.RATE
    out = [part.to_ndarray().reshape(-1) for part in [*resampler.resample(frame),
                                                      *resampler.resample(None)]]  # fmt: skip
    return np.concatenate(out).astype(np.int16)


def _mono(frame: av.AudioFrame) -> NDArray[np.float64]:
    samples = frame.to_ndarray()
    channels = len(frame.layout.channels)
    flat = samples.reshape(-1, channels).T if samples.shape[0] == 1 else samples
    scale = 32768.0 if samples.dtype == np.int16 else 1.0
    mixed: NDArray[np.float64] = flat.astype(np.float64).mean(axis=0) / scale
    return mixed
