"""What the load generator says: bursts of a made voice with sharp beginnings, already encoded."""

from dataclasses import dataclass

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from scipy.signal import resample_poly

from tests.support.packets.opus_packets import FRAME, RATE, encode
from tests.support.sound.speech_compare import Pcm

BURST_FRAMES = 30
PERIOD_FRAMES = 50


@dataclass(frozen=True, slots=True)
class Loop:
    """Opus packets of 20 ms to be said over and over."""

    packets: tuple[bytes, ...]

    def payload(self, number: int) -> bytes:
        """Return the packet of frame `number`."""
        return self.packets[number % len(self.packets)]

    def is_onset(self, number: int) -> bool:
        """Whether a burst begins with the first sample of frame `number`."""
        return number % len(self.packets) % PERIOD_FRAMES == PERIOD_FRAMES - BURST_FRAMES


def make_loop(
    *, seconds: int = 10, bitrate: int = 24_000, seed: int = 1, quiet: bool = False
) -> Loop:
    """Make a loop as a browser would send it: wideband, 24 kb/s, no DTX; `quiet`: no bursts."""
    sound = make_sound(seconds=seconds, seed=seed)
    if quiet:
        begin = (PERIOD_FRAMES - BURST_FRAMES) * FRAME
        sound = np.tile(sound[:begin], -(-len(sound) // begin))[: len(sound)]
    return Loop(tuple(encode(sound, bitrate=bitrate)))


def make_telephone_loop(*, seconds: int = 10, seed: int = 1) -> Loop:
    """Make the same as G.711 µ-law, as a trunk would send it."""
    narrow = resample_poly(make_sound(seconds=seconds, seed=seed).astype(float), 1, 2)
    encoder = av.CodecContext.create("pcm_mulaw", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = 8_000, "mono", "s16"
    pcm = np.clip(np.rint(narrow), -32768, 32767).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = 8_000
    codes = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    return Loop(tuple(codes[start : start + 160] for start in range(0, len(codes), 160)))


def make_sound(*, seconds: int, seed: int) -> Pcm:
    """Make one burst of 0.6 s after 0.4 s of near silence for every second."""
    source = np.random.default_rng(seed)
    sound = source.normal(scale=3.0, size=seconds * RATE)
    begin, length = (PERIOD_FRAMES - BURST_FRAMES) * FRAME, BURST_FRAMES * FRAME
    for second in range(seconds):
        first = second * RATE + begin
        sound[first : first + length] += _voice(length, source)
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def _voice(
    length: int, source: np.random.Generator
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Make harmonics of a gliding pitch under two formants, and breath."""
    moments = np.arange(length) / RATE
    pitch = source.uniform(100, 180) * (1 + 0.1 * np.sin(2 * np.pi * 2 * moments))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formants = source.uniform((300, 900), (800, 2500))
    wave = np.zeros(length)
    for harmonic in range(1, 30):
        hertz = harmonic * float(pitch[0])
        weight = sum(1 / (1 + ((hertz - formant) / 150) ** 2) for formant in formants)
        wave += weight * np.cos(harmonic * phase + source.uniform(0, 2 * np.pi))
    wave += 0.1 * source.normal(size=length)
    syllables = 1 - 0.5 * np.sin(np.pi * 5 * moments) ** 2
    voice: np.ndarray[tuple[int], np.dtype[np.float64]] = wave / np.std(wave) * 4000 * syllables
    return voice
