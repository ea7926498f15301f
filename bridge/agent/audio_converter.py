"""Streaming conversion of a provider's audio to 16 kHz mono."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Final

import numpy as np

from bridge.audio.codec.resample import Resampler
from bridge.audio.file.wav import WavHeader, parse_header
from bridge.audio.frame import SAMPLE_RATE
from bridge.errors import RemoteProtocolError

MAX_HEADER_BYTES: Final = 64 * 1024
SNIFFED_BYTES: Final = 32
PIECE_SECONDS: Final = 0.25
"""Audio converted at once, so that the event loop is not blocked."""
RATE_STEP: Final = 50
"""Hertz to which other rates are rounded, inaudibly."""
_OTHER_FORMATS: Final = (b"ID3", b"OggS", b"fLaC", b"\xff\xfb", b"\xff\xf3", b"\xff\xf1", b"caff")
"""Magic bytes of unsupported formats, which would be loud noise as raw samples."""


class CallAudio:
    """Converts WAV of any rate, or raw s16le 16 kHz mono, to 16 kHz mono; cut at `max_seconds`."""

    def __init__(self, *, max_seconds: float) -> None:
        self._max_seconds = max_seconds
        self._left = 0
        """Bytes of samples still accepted; valid once the header is known."""
        self._rest = b""
        self._header: WavHeader | None = None
        self._resampler: Resampler | None = None
        self._has_audio = False

    @property
    def full(self) -> bool:
        """Whether `max_seconds` have been reached."""
        return self._header is not None and self._left < 2 * self._header.channels

    def feed(self, data: bytes, *, last: bool = False) -> Iterator[bytes]:
        """Convert the next bytes, of any length, lazily; exhaust the iterator before feeding more.

        Raises:
            RemoteProtocolError: The format is not supported, or there was no audio.
        """
        self._rest += data
        if self._header is None:
            self._header = self._begin(last=last)
        if self._header is None:
            return
        whole = 2 * self._header.channels
        count = min(len(self._rest), self._left) // whole * whole
        audio, self._rest = self._rest[:count], self._rest[count:]
        self._left -= count
        if self.full:
            self._rest = b""
        self._has_audio = self._has_audio or bool(audio)
        if last and not self._has_audio:
            raise RemoteProtocolError("the audio is empty")
        step = round(self._header.rate * PIECE_SECONDS) * whole
        for at in range(0, count, step):
            yield self._convert(audio[at : at + step], self._header.channels)
        if last and self._resampler is not None:
            yield self._resampler.flush()

    def _convert(self, piece: bytes, channels: int) -> bytes:
        if channels > 1:
            samples = np.frombuffer(piece, "<i2").reshape(-1, channels)
            piece = samples.mean(axis=1).astype("<i2").tobytes()
        return self._resampler.process(piece) if self._resampler is not None else piece

    def _begin(self, *, last: bool) -> WavHeader | None:
        """Detect the format; return None if more data is needed."""
        if len(self._rest) < SNIFFED_BYTES and not last:
            return None
        if self._rest[:4] == b"RIFF":
            header = parse_header(self._rest)
            if header is None:
                if last or len(self._rest) > MAX_HEADER_BYTES:
                    raise RemoteProtocolError("the WAV file has no samples")
                return None
        else:
            if not self._rest or _is_other(self._rest[:SNIFFED_BYTES]):
                raise RemoteProtocolError("the response is not audio")
            header = WavHeader(SAMPLE_RATE, 1, 0, None)
        maximum = round(self._max_seconds * header.rate) * 2 * header.channels
        self._rest = self._rest[header.start :]
        self._left = maximum if header.length is None else min(header.length, maximum)
        if header.rate != SAMPLE_RATE:
            # Without rounding, the filter for a rate coprime to ours would have a million taps.
            rate = max(1, round(header.rate / RATE_STEP)) * RATE_STEP
            self._resampler = Resampler(rate, SAMPLE_RATE)
            self._resampler.align()
        return header


async def to_call_audio(
    pieces: AsyncIterator[bytes], *, max_seconds: float
) -> AsyncGenerator[bytes, None]:
    """Convert streamed audio to 16 kHz mono as it arrives.

    Raises:
        RemoteProtocolError: The format is not supported, or there is no audio.
    """
    audio = CallAudio(max_seconds=max_seconds)
    async for data in pieces:
        for pcm in audio.feed(data):
            yield pcm
            await asyncio.sleep(0)
        if audio.full:
            break
    for pcm in audio.feed(b"", last=True):
        yield pcm


def _is_other(beginning: bytes) -> bool:
    """Return whether data begins like text or an unsupported format."""
    return beginning.startswith(_OTHER_FORMATS) or (
        beginning.strip(b"\r\n\t ").isascii()
        and all(32 <= letter < 127 or letter in b"\r\n\t" for letter in beginning)
    )
