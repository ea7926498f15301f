"""Raw audio on a socket: sample encodings, rates, framing and conversion to and from the bus.

Outgoing float samples are the 16-bit ones divided by 32768; incoming ones are multiplied by 32767,
rounded and clamped, and NaN or infinity becomes silence.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from bridge.audio.codec.g711 import MULAW
from bridge.audio.codec.g711 import SAMPLE_RATE as G711_RATE
from bridge.audio.codec.halfband import (
    Decimator,
    Interpolator,
    design_decimator,
    design_interpolator,
)
from bridge.audio.codec.resample import Polyphase, Resampler, design_resampler
from bridge.audio.codec.sample_encoding import Roughness, measure_roughness
from bridge.audio.frame import SAMPLE_RATE
from bridge.wire.stream.media_template import MediaTemplate, WriteFrame, frame_writer

MIN_FRAME_MS: Final = 10
MAX_FRAME_MS: Final = 200
PIECE_SECONDS: Final = 0.5
"""Long messages are decoded in pieces of this length."""


class Encoding(StrEnum):
    """Sample encoding."""

    S16LE = "s16le"
    F32LE = "f32le"
    MULAW = "mulaw"

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return _SAMPLE_BYTES[self]

    @property
    def silence(self) -> bytes:
        """One silent sample."""
        return b"\xff" if self is Encoding.MULAW else bytes(self.sample_bytes)


_SAMPLE_BYTES: Final = {Encoding.S16LE: 2, Encoding.F32LE: 4, Encoding.MULAW: 1}


@dataclass(frozen=True, slots=True)
class MediaFormat:
    """The audio format of a socket; mono."""

    encoding: Encoding = Encoding.S16LE
    sample_rate: int = SAMPLE_RATE
    frame_milliseconds: int = 20
    """Length of each message sent."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one message."""
        samples = self.sample_rate * self.frame_milliseconds // 1000
        return samples * self.encoding.sample_bytes

    @property
    def second_bytes(self) -> int:
        """Bytes of one second."""
        return self.sample_rate * self.encoding.sample_bytes


ZUCKZAPGO: Final = MediaFormat(Encoding.S16LE, 16_000, 60)
"""`GET /call/{call_id}/stream`: 960 samples, 1920 bytes."""
WADIAL: Final = MediaFormat(Encoding.F32LE, 16_000, 20)
"""WADial's media socket: 320 samples, 1280 bytes."""


def decode_samples(encoding: Encoding, data: bytes) -> bytes:
    """Decode whole samples to signed 16-bit little-endian."""
    match encoding:
        case Encoding.S16LE:
            return data
        case Encoding.F32LE:
            floats = np.frombuffer(data, "<f4")
            # First of all: even copying a signalling NaN would raise a floating-point warning.
            floats = np.where(np.isfinite(floats), floats, np.float32(0))
            rounded: bytes = np.rint(np.clip(floats, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
            return rounded
        case Encoding.MULAW:
            return MULAW.decode(data)


def encode_samples(encoding: Encoding, pcm: bytes) -> bytes:
    """Encode whole 16-bit samples."""
    match encoding:
        case Encoding.S16LE:
            return pcm
        case Encoding.F32LE:
            return (np.frombuffer(pcm, "<i2") / np.float32(32768)).astype("<f4").tobytes()
        case Encoding.MULAW:
            return MULAW.encode(pcm)


Convert: TypeAlias = Callable[[bytes], bytes]
"""Converts the next samples of one stream."""


class Conversion(NamedTuple):
    """What converts the audio of streams and writes it: Python (`IN_PYTHON`), or compiled code."""

    to_bus: Callable[[MediaFormat], Convert]
    """Makes what converts one stream's whole samples to 16-bit ones at 16 kHz."""
    from_bus: Callable[[MediaFormat], Convert]
    """Makes what converts one stream's frames of the bus."""
    frames: Callable[[MediaTemplate], WriteFrame]
    """Makes what writes one track's messages of audio to a server."""
    roughness: Roughness


def _to_bus(media: MediaFormat) -> Convert:
    if _is_telephony(media):
        interpolator = Interpolator()
        return lambda codes: interpolator.process(MULAW.samples(codes))
    if _is_of_bus(media):
        return _unchanged
    resampler = Resampler(media.sample_rate, SAMPLE_RATE)
    return lambda data: resampler.process(decode_samples(media.encoding, data))


def _from_bus(media: MediaFormat) -> Convert:
    if _is_telephony(media):
        decimator = Decimator()
        return lambda pcm: MULAW.codes(decimator.process(pcm))
    if _is_of_bus(media):
        return _unchanged
    resampler = Resampler(SAMPLE_RATE, media.sample_rate)
    return lambda pcm: encode_samples(media.encoding, resampler.process(pcm))


def _is_of_bus(media: MediaFormat) -> bool:
    return media.encoding is Encoding.S16LE and media.sample_rate == SAMPLE_RATE


def _unchanged(pcm: bytes) -> bytes:
    return pcm


IN_PYTHON: Final = Conversion(_to_bus, _from_bus, frame_writer, measure_roughness)


def filter_to_bus(media: MediaFormat) -> Polyphase | None:
    """Return the filter from a format's rate to 16 kHz; None for the same rate."""
    if _is_telephony(media):
        return design_interpolator()
    return design_resampler(media.sample_rate, SAMPLE_RATE)


def filter_from_bus(media: MediaFormat) -> Polyphase | None:
    """Return the filter from 16 kHz to a format's rate; None for the same rate."""
    if _is_telephony(media):
        return design_decimator()
    return design_resampler(SAMPLE_RATE, media.sample_rate)


def _is_telephony(media: MediaFormat) -> bool:
    """Whether the half-band filters of G.711 will do, which cost a third and delay half as much."""
    return media.encoding is Encoding.MULAW and media.sample_rate == G711_RATE


class MediaDecoder:
    """Decodes one socket's messages to 16 kHz audio; each continues the previous one, at any byte."""

    __slots__ = ("_convert", "_piece", "_rest", "_sample_bytes")

    def __init__(self, media: MediaFormat, conversion: Conversion = IN_PYTHON) -> None:
        self._piece = round(media.second_bytes * PIECE_SECONDS)
        self._sample_bytes = media.encoding.sample_bytes
        self._rest = b""
        self._convert = conversion.to_bus(media)

    @property
    def incomplete(self) -> bool:
        """Whether the last message ended within a sample."""
        return bool(self._rest)

    def align(self, message: bytes) -> bytes:
        """Return the whole samples of a message and of what was left of the previous one."""
        data = self._rest + message
        whole = len(data) - len(data) % self._sample_bytes
        self._rest = data[whole:]
        return data[:whole]

    def drop_incomplete(self) -> None:
        """Drop the sample that the last message has begun: the next message begins with a sample."""
        self._rest = b""

    def decode(self, samples: bytes) -> Iterable[bytes]:
        """Decode whole samples in pieces, all of them to be taken before the next message."""
        step = self._piece
        if len(samples) <= step:
            return (self._convert(samples),)
        return (
            self._convert(samples[begin : begin + step]) for begin in range(0, len(samples), step)
        )


class MediaEncoder:
    """Encodes 16 kHz audio to one socket's messages."""

    __slots__ = ("_convert", "_frame_bytes", "_rest", "_second_bytes")

    def __init__(self, media: MediaFormat, conversion: Conversion = IN_PYTHON) -> None:
        self._frame_bytes, self._second_bytes = media.frame_bytes, media.second_bytes
        self._convert = conversion.from_bus(media)
        self._rest = b""

    def encode(self, pcm: bytes) -> list[bytes]:
        """Encode whole frames of the bus and return the messages that are now complete."""
        size = self._frame_bytes
        data = self._rest + self._convert(pcm)
        if len(data) < size:
            self._rest = data
            return []
        if len(data) == size:
            self._rest = b""
            return [data]
        whole = len(data) - len(data) % size
        self._rest = data[whole:]
        return [data[begin : begin + size] for begin in range(0, whole, size)]

    @property
    def buffered_milliseconds(self) -> float:
        """Audio buffered for an incomplete message."""
        return len(self._rest) * 1000 / self._second_bytes
