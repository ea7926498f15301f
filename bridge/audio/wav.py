"""WAV files of 16-bit PCM: reading whole ones, and the head of one that is being written.

Microsoft RIFF, WAVE_FORMAT_PCM and _EXTENSIBLE.
"""

import struct
from dataclasses import dataclass
from typing import Final

from bridge.audio.frame import SAMPLE_RATE
from bridge.errors import RemoteProtocolError

_PCM: Final = 1
_EXTENSIBLE: Final = 0xFFFE
_PCM_SUBFORMAT: Final = bytes.fromhex("0100000000001000800000aa00389b71")

# What encoders write for the length of a file whose end they do not know yet.
_UNKNOWN_LENGTHS: Final = (0, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Wav:
    """The sound of a file: interleaved samples, signed 16-bit little-endian."""

    pcm: bytes
    rate: int = SAMPLE_RATE
    channels: int = 1


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the samples of a file."""

    rate: int
    channels: int
    start: int
    """Where the samples begin, in bytes."""
    length: int | None
    """How many bytes they are; None where the encoder did not know."""


def parse_wav(data: bytes) -> Wav:
    """Read a whole file; a data chunk of unknown or too great length ends where the file ends.

    Raises:
        RemoteProtocolError: It is not a WAV file, or its samples are not 16-bit PCM.
    """
    if len(data) < 12:
        raise RemoteProtocolError("not a WAV file")
    head = parse_head(data)
    if head is None:
        raise RemoteProtocolError("the WAV file holds no samples")
    available = len(data) - head.start
    length = available if head.length is None else min(head.length, available)
    length -= length % (2 * head.channels)
    return Wav(data[head.start : head.start + length], head.rate, head.channels)


def parse_head(data: bytes) -> Head | None:
    """Read what stands before the samples; None while more of it is to come.

    Raises:
        RemoteProtocolError: It is not a WAV file, or its samples are not 16-bit PCM.
    """
    if len(data) < 12:
        return None
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise RemoteProtocolError("not a WAV file")
    wave_format: tuple[int, int] | None = None
    position = 12
    while position + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        position += 8
        if name == b"data":
            if wave_format is None:
                raise RemoteProtocolError("the WAV file has no format before its samples")
            return Head(*wave_format, position, None if length in _UNKNOWN_LENGTHS else length)
        if name == b"fmt " and position + length > len(data):
            return None
        if name == b"fmt ":
            wave_format = _parse_format(data[position : position + length])
        position += length + (length & 1)
    return None


def header(pcm_bytes: int) -> bytes:
    """Give the 44 bytes before so many bytes of 16 kHz mono sound.

    A file longer than 4 GB says as much as its fields can.
    """
    most = 0xFFFFFFFF
    length = min(pcm_bytes, most - 36)
    riff = struct.pack("<4sI4s", b"RIFF", length + 36, b"WAVE")
    sound = struct.pack("<4sIHHIIHH", b"fmt ", 16, _PCM, 1, SAMPLE_RATE, SAMPLE_RATE * 2, 2, 16)
    return riff + sound + struct.pack("<4sI", b"data", length)


def _parse_format(chunk: bytes) -> tuple[int, int]:
    """Return the rate and the number of channels."""
    if len(chunk) < 16:
        raise RemoteProtocolError("the WAV file's format is cut off")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and chunk[24:40] == _PCM_SUBFORMAT:
        tag = _PCM
    if tag != _PCM or bits != 16:
        raise RemoteProtocolError("the WAV file's samples are not 16-bit PCM")
    if not 1 <= channels <= 8 or not 1000 <= rate <= 384_000:
        raise RemoteProtocolError(f"the WAV file has {channels} channels at {rate} Hz")
    return rate, channels
