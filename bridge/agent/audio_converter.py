"""Streaming conversion of a provider's audio to 16 kHz mono."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import numpy as np

from bridge.audio.frame import SAMPLE_RATE
from bridge.audio.resample import Resampler
from bridge.audio.wav import WavHeader, parse_header
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

    def feed(self, data: bytes) -> list[bytes]:
        """Parse a piece and return its samples, in pieces for `convert`.

        Raises:
            RemoteProtocolError: The format is not supported.
        """
        self._rest += data
        if self._header is None and not self._begin(last=False):
            return []
        return self._cut()

    def finish(self) -> list[bytes]:
        """Return the remaining pieces.

        Raises:
            RemoteProtocolError: There was no audio.
        """
        if self._header is None and not self._begin(last=True):
            raise RemoteProtocolError("the response is not audio")
        pieces = self._cut()
        if not self._has_audio:
            raise RemoteProtocolError("the audio is empty")
        return pieces

    def convert(self, piece: bytes) -> bytes:
        """Convert a piece returned by `feed`."""
        if self._header is not None and self._header.channels > 1:
            samples = np.frombuffer(piece, "<i2").reshape(-1, self._header.channels)
            piece = samples.mean(axis=1).astype("<i2").tobytes()
        return self._resampler.process(piece) if self._resampler is not None else piece

    def flush(self) -> bytes:
        """Return the tail of the conversion."""
        return self._resampler.flush() if self._resampler is not None else b""

    def _begin(self, *, last: bool) -> bool:
        """Detect the format; return False if more data is needed."""
        if len(self._rest) < SNIFFED_BYTES and not last:
            return False
        if self._rest[:4] == b"RIFF":
            header = parse_header(self._rest)
            if header is None:
                if last or len(self._rest) > MAX_HEADER_BYTES:
                    raise RemoteProtocolError("the WAV file has no samples")
                return False
        else:
            if not self._rest or _is_other(self._rest[:SNIFFED_BYTES]):
                raise RemoteProtocolError("the response is not audio")
            header = WavHeader(SAMPLE_RATE, 1, 0, None)
        maximum = round(self._max_seconds * header.rate) * 2 * header.channels
        self._header, self._rest = header, self._rest[header.start :]
        self._left = maximum if header.length is None else min(header.length, maximum)
        if header.rate != SAMPLE_RATE:
            # Without rounding, the filter for a rate coprime to ours would have a million taps.
            rate = max(1, round(header.rate / RATE_STEP)) * RATE_STEP
            self._resampler = Resampler(rate, SAMPLE_RATE)
            self._resampler.align()
        return True

    def _cut(self) -> list[bytes]:
        assert self._header is not None
        whole = 2 * self._header.channels
        count = min(len(self._rest), self._left) // whole * whole
        audio, self._rest = self._rest[:count], self._rest[count:]
        self._left -= count
        if self.full:
            self._rest = b""
        step = round(self._header.rate * PIECE_SECONDS) * whole
        self._has_audio = self._has_audio or bool(audio)
        return [audio[at : at + step] for at in range(0, len(audio), step)]


async def to_call_audio(
    pieces: AsyncIterator[bytes], *, max_seconds: float
) -> AsyncGenerator[bytes, None]:
    """Convert streamed audio to 16 kHz mono as it arrives.

    Raises:
        RemoteProtocolError: The format is not supported, or there is no audio.
    """
    audio = CallAudio(max_seconds=max_seconds)
    async for data in pieces:
        for piece in audio.feed(data):
            yield audio.convert(piece)
            await asyncio.sleep(0)
        if audio.full:
            break
    for piece in audio.finish():
        yield audio.convert(piece)
    if rest := audio.flush():
        yield rest


def _is_other(beginning: bytes) -> bool:
    """Return whether data begins like text or an unsupported format."""
    return beginning.startswith(_OTHER_FORMATS) or (
        beginning.strip(b"\r\n\t ").isascii()
        and all(32 <= letter < 127 or letter in b"\r\n\t" for letter in beginning)
    )
