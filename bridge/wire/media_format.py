"""Raw sound on a wire: its encodings, rates and frames, and the way from and to the bus's.

Inside, sound is 16-bit at 16 kHz. A sample of a float socket is the bus's divided by 32768; what
comes is multiplied by 32767, rounded and clamped, and what is no number is silence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from bridge.audio import mulaw
from bridge.audio.frame import SAMPLE_RATE
from bridge.audio.resample import Resampler
from bridge.errors import RemoteProtocolError

SAMPLE_RATES: Final = (8000, 16000, 24000, 48000)
MIN_FRAME_MS: Final = 10
MAX_FRAME_MS: Final = 200
PIECE_SECONDS: Final = 0.5
"""So much of a long message is read at once."""


class Encoding(StrEnum):
    """How a sample is written."""

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
    """What one route's sound looks like on the wire; mono."""

    encoding: Encoding = Encoding.S16LE
    sample_rate: int = SAMPLE_RATE
    frame_milliseconds: int = 20
    """Length of each message that is sent."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one message."""
        samples = self.sample_rate * self.frame_milliseconds // 1000
        return samples * self.encoding.sample_bytes

    @property
    def second_bytes(self) -> int:
        """Bytes of one second."""
        return self.sample_rate * self.encoding.sample_bytes


def decode(encoding: Encoding, data: bytes) -> bytes:
    """Give 16-bit samples for what came.

    Args:
        encoding: How the samples are written.
        data: Whole samples.
    """
    match encoding:
        case Encoding.S16LE:
            return data
        case Encoding.F32LE:
            floats = np.frombuffer(data, "<f4")
            # Before anything is computed: some bit patterns are no numbers even to be copied.
            floats = np.where(np.isfinite(floats), floats, np.float32(0))
            rounded: bytes = np.rint(np.clip(floats, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
            return rounded
        case Encoding.MULAW:
            return mulaw.decode(data)


def encode(encoding: Encoding, pcm: bytes) -> bytes:
    """Write 16-bit samples as the wire wants them.

    Args:
        encoding: How the samples are written.
        pcm: Whole samples.
    """
    match encoding:
        case Encoding.S16LE:
            return pcm
        case Encoding.F32LE:
            return (np.frombuffer(pcm, "<i2") / np.float32(32768)).astype("<f4").tobytes()
        case Encoding.MULAW:
            return mulaw.encode(pcm)


class MediaDecoder:
    """Makes 16 kHz sound of one socket's messages."""

    __slots__ = ("_format", "_pad_bytes", "_resampler")

    def __init__(self, media: MediaFormat, *, pads: bool = False) -> None:
        """Make a reader.

        Args:
            media: What comes.
            pads: Fill the end of each message with silence up to a whole frame, as ZuckZapGo
                documents; without it a message must consist of whole samples, and the next one
                goes on where it ends.
        """
        self._format = media
        self._pad_bytes = media.frame_bytes if pads else 0
        self._resampler = Resampler(media.sample_rate, SAMPLE_RATE)

    def read(self, message: bytes) -> bytes:
        """Give the sound of a message; empty for an empty one.

        Raises:
            RemoteProtocolError: as `pieces`.
        """
        return b"".join(self.pieces(message))

    def pieces(self, message: bytes) -> Iterator[bytes]:
        """Give the sound of a message bit by bit: a long one takes a while to be made.

        All of it must be taken before the next message comes.

        Raises:
            RemoteProtocolError: It does not consist of whole samples, and is not filled up; no
                part of it is taken. Raised at once.
        """
        encoding = self._format.encoding
        size = encoding.sample_bytes
        if self._pad_bytes:
            message += bytes(-len(message) % size)
            missing = -len(message) % self._pad_bytes // size
            message += missing * encoding.silence
        elif len(message) % size:
            raise RemoteProtocolError(f"a frame's length must be a multiple of {size} bytes")
        step = round(self._format.second_bytes * PIECE_SECONDS)
        return (
            self._sound(message[begin : begin + step]) for begin in range(0, len(message), step)
        )

    def _sound(self, data: bytes) -> bytes:
        return self._resampler.process(decode(self._format.encoding, data))


class MediaEncoder:
    """Makes one socket's messages of 16 kHz sound."""

    __slots__ = ("_format", "_resampler", "_rest")

    def __init__(self, media: MediaFormat) -> None:
        self._format = media
        self._resampler = Resampler(SAMPLE_RATE, media.sample_rate)
        self._rest = b""

    def write(self, pcm: bytes) -> list[bytes]:
        """Take a piece of sound and give the messages that are now whole.

        Args:
            pcm: Whole samples at 16 kHz.
        """
        size = self._format.frame_bytes
        data = self._rest + encode(self._format.encoding, self._resampler.process(pcm))
        whole = len(data) - len(data) % size
        self._rest = data[whole:]
        return [data[begin : begin + size] for begin in range(0, whole, size)]

    @property
    def rest_milliseconds(self) -> float:
        """How much sound waits for the rest of its message."""
        return len(self._rest) * 1000 / self._format.second_bytes
