"""WAV files of 16-bit PCM (Microsoft RIFF, WAVE_FORMAT_PCM and _EXTENSIBLE)."""

import struct
from dataclasses import dataclass
from typing import Final

from bridge.audio.frame import SAMPLE_RATE
from bridge.errors import RemoteProtocolError

HEADER_BYTES: Final = 44
"""Of files that are made here."""
BYTES_PER_SECOND: Final = 2 * SAMPLE_RATE

_PCM: Final = 1
_EXTENSIBLE: Final = 0xFFFE
_PCM_SUBFORMAT: Final = bytes.fromhex("0100000000001000800000aa00389b71")

# Written by encoders that do not know the length yet.
_UNKNOWN_LENGTHS: Final = (0, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Wav:
    """The audio of a file: interleaved samples, signed 16-bit little-endian."""

    pcm: bytes
    rate: int = SAMPLE_RATE
    channels: int = 1


@dataclass(frozen=True, slots=True)
class WavHeader:
    """The header of a file."""

    rate: int
    channels: int
    start: int
    """Byte offset of the samples."""
    length: int | None
    """Bytes of samples; None if unknown."""


def parse_wav(data: bytes) -> Wav:
    """Parse a file; a data chunk of unknown or excessive length ends with the file.

    Raises:
        RemoteProtocolError: It is not a WAV file, or its samples are not 16-bit PCM.
    """
    if len(data) < 12:
        raise RemoteProtocolError("not a WAV file")
    header = parse_header(data)
    if header is None:
        raise RemoteProtocolError("the WAV file has no samples")
    available = len(data) - header.start
    length = available if header.length is None else min(header.length, available)
    length -= length % (2 * header.channels)
    return Wav(data[header.start : header.start + length], header.rate, header.channels)


def parse_header(data: bytes) -> WavHeader | None:
    """Parse the header; return None if it is incomplete.

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
                raise RemoteProtocolError("the WAV file has no format chunk before its samples")
            return WavHeader(*wave_format, position, None if length in _UNKNOWN_LENGTHS else length)
        if name == b"fmt " and position + length > len(data):
            return None
        if name == b"fmt ":
            wave_format = _parse_format(data[position : position + length])
        position += length + (length & 1)
    return None


def make_header(pcm_bytes: int) -> bytes:
    """Return the 44-byte header of a 16 kHz mono file; lengths beyond 4 GB are capped."""
    length = min(pcm_bytes, 0xFFFFFFFF - 36)
    riff = struct.pack("<4sI4s", b"RIFF", length + 36, b"WAVE")
    chunks = struct.pack("<4sIHHIIHH", b"fmt ", 16, _PCM, 1, SAMPLE_RATE, SAMPLE_RATE * 2, 2, 16)
    return riff + chunks + struct.pack("<4sI", b"data", length)


def file_bytes(seconds: float) -> int:
    """Return the size of a file that is made here."""
    return HEADER_BYTES + 2 * round(seconds * SAMPLE_RATE)


def _parse_format(chunk: bytes) -> tuple[int, int]:
    """Return the rate and the number of channels."""
    if len(chunk) < 16:
        raise RemoteProtocolError("the WAV file's format chunk is truncated")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and chunk[24:40] == _PCM_SUBFORMAT:
        tag = _PCM
    if tag != _PCM or bits != 16:
        raise RemoteProtocolError("the WAV file's samples are not 16-bit PCM")
    if not 1 <= channels <= 8 or not 1000 <= rate <= 384_000:
        raise RemoteProtocolError(f"the WAV file has {channels} channels at {rate} Hz")
    return rate, channels
