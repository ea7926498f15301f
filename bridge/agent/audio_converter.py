"""What speaks gives sound in its own format, piece by piece: made the sound of calls as it comes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import numpy as np

from bridge.audio.frame import SAMPLE_RATE
from bridge.audio.resample import Resampler
from bridge.audio.wav import WavHeader, parse_header
from bridge.errors import RemoteProtocolError

MAX_HEAD_BYTES: Final = 64 * 1024
SNIFFED_BYTES: Final = 32
PIECE_SECONDS: Final = 0.25
"""So much sound is converted at once; other calls go on in between."""
RATE_STEP: Final = 50
"""Hertz to which other rates are rounded; nobody hears the difference."""
_OTHER_SOUND: Final = (b"ID3", b"OggS", b"fLaC", b"\xff\xfb", b"\xff\xf3", b"\xff\xf1", b"caff")
"""How files begin that are neither WAV nor raw; taken for raw they would be loud noise."""


class CallAudio:
    """TurnDetector a WAV file of any rate, or raw s16le 16 kHz mono, into 16 kHz mono samples.

    A sound longer than `most_seconds` is cut there.
    """

    def __init__(self, *, most_seconds: float) -> None:
        self._most = most_seconds
        self._left = 0
        """Bytes of samples that are still taken; valid once the head is known."""
        self._rest = b""
        self._head: WavHeader | None = None
        self._resampler: Resampler | None = None
        self._given = False

    @property
    def full(self) -> bool:
        """Whether it takes no more."""
        return self._head is not None and self._left < 2 * self._head.channels

    def take(self, data: bytes) -> list[bytes]:
        """Take a piece; give the samples that it makes, unconverted, in pieces for `make`.

        Raises:
            RemoteProtocolError: it is neither, or no sound at all.
        """
        self._rest += data
        if self._head is None and not self._begin(last=False):
            return []
        return self._cut()

    def finish(self) -> list[bytes]:
        """Give the pieces that are left.

        Raises:
            RemoteProtocolError: there was no sound.
        """
        if self._head is None and not self._begin(last=True):
            raise RemoteProtocolError("the answer is no sound")
        pieces = self._cut()
        if not self._given:
            raise RemoteProtocolError("the sound is empty")
        return pieces

    def make(self, piece: bytes) -> bytes:
        """Give a piece of `take` as samples of calls."""
        if self._head is not None and self._head.channels > 1:
            samples = np.frombuffer(piece, "<i2").reshape(-1, self._head.channels)
            piece = samples.mean(axis=1).astype("<i2").tobytes()
        return self._resampler.process(piece) if self._resampler is not None else piece

    def flush(self) -> bytes:
        """Give what the conversion still holds, once all is made."""
        return self._resampler.flush() if self._resampler is not None else b""

    def _begin(self, *, last: bool) -> bool:
        """Find out what it is; False while more must come first."""
        if len(self._rest) < SNIFFED_BYTES and not last:
            return False
        if self._rest[:4] == b"RIFF":
            head = parse_header(self._rest)
            if head is None:
                if last or len(self._rest) > MAX_HEAD_BYTES:
                    raise RemoteProtocolError("the WAV file holds no samples")
                return False
        else:
            if not self._rest or _is_other(self._rest[:SNIFFED_BYTES]):
                raise RemoteProtocolError("the answer is no sound")
            head = WavHeader(SAMPLE_RATE, 1, 0, None)
        most = round(self._most * head.rate) * 2 * head.channels
        self._head, self._rest = head, self._rest[head.start :]
        self._left = most if head.length is None else min(head.length, most)
        if head.rate != SAMPLE_RATE:
            # A filter for a rate that has nothing in common with ours would be a million samples.
            rate = max(1, round(head.rate / RATE_STEP)) * RATE_STEP
            self._resampler = Resampler(rate, SAMPLE_RATE)
            self._resampler.align()
        return True

    def _cut(self) -> list[bytes]:
        assert self._head is not None
        whole = 2 * self._head.channels
        count = min(len(self._rest), self._left) // whole * whole
        sound, self._rest = self._rest[:count], self._rest[count:]
        self._left -= count
        if self.full:
            self._rest = b""
        step = round(self._head.rate * PIECE_SECONDS) * whole
        self._given = self._given or bool(sound)
        return [sound[at : at + step] for at in range(0, len(sound), step)]


async def call_sound(
    pieces: AsyncIterator[bytes], *, most_seconds: float
) -> AsyncGenerator[bytes, None]:
    """Give sound that comes in pieces as 16 kHz mono samples, as it comes.

    Raises:
        RemoteProtocolError: it is no sound that can be read; raised with its first bytes.
    """
    sound = CallAudio(most_seconds=most_seconds)
    async for data in pieces:
        for piece in sound.take(data):
            yield sound.make(piece)
            await asyncio.sleep(0)
        if sound.full:
            break
    for piece in sound.finish():
        yield sound.make(piece)
    if rest := sound.flush():
        yield rest


def _is_other(beginning: bytes) -> bool:
    """Whether it begins like a text or another kind of file, as samples never do."""
    return beginning.startswith(_OTHER_SOUND) or (
        beginning.strip(b"\r\n\t ").isascii()
        and all(32 <= letter < 127 or letter in b"\r\n\t" for letter in beginning)
    )
