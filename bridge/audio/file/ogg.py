"""Ogg files of one Opus stream (RFC 3533, RFC 7845): pages written, and what a cut-off file holds."""

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.audio.frame import SAMPLE_RATE

PRE_SKIP: Final = 312
"""Samples at 48 kHz that players leave out at the start: the usual delay of an Opus encoder."""
RATE: Final = 48_000
"""Of granule positions, whatever the audio (RFC 7845 §4)."""
VENDOR: Final = b"media-bridge"
MAX_SEGMENTS: Final = 255
MAX_PAGE: Final = 27 + MAX_SEGMENTS + MAX_SEGMENTS * 255
"""Bytes."""

_HEADER: Final = struct.Struct("<4sBBqIIIB")
_CHECKSUM_AT: Final = 22
_KIND_AT: Final = 5
_BEGIN: Final = 2
_END: Final = 4
_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def checksum(page: bytes) -> int:
    """Return the CRC-32 of a page whose own field is zero (RFC 3533 §6).

    It is that of `zlib` with the bits of bytes and sum reversed, and without its inversions.
    """
    reflected = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int.from_bytes(reflected.to_bytes(4, "little").translate(_REVERSED), "big")


class OggWriter:
    """Makes the pages of one stream; every packet is whole on one page."""

    def __init__(self, serial: int, pages: int = 0, granule: int = 0) -> None:
        """Begin a stream with a serial number, 32 bits, or go on after so many pages and samples."""
        self.serial = serial
        self.made = pages
        """How many pages there are."""
        self.granule = granule
        """Samples at 48 kHz of all packets until now."""

    def head(self) -> bytes:
        """Return the two pages that begin a mono file (RFC 7845 §5)."""
        head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, PRE_SKIP, SAMPLE_RATE, 0, 0)
        tags = b"OpusTags" + struct.pack("<I", len(VENDOR)) + VENDOR + struct.pack("<I", 0)
        return self._page([head], 0, _BEGIN) + self._page([tags], 0)

    def pages(self, packets: Iterable[tuple[bytes, int]], *, end: int | None = None) -> bytes:
        """Return the pages of packets, each with its duration at 48 kHz.

        `end` ends the file: it is the last granule position, up to which players play.
        """
        made: list[bytes] = []
        payloads: list[bytes] = []
        segments = 0
        for payload, samples in packets:
            needed = len(payload) // 255 + 1
            if segments + needed > MAX_SEGMENTS:
                made.append(self._page(payloads, self.granule))
                payloads, segments = [], 0
            payloads.append(payload)
            segments += needed
            self.granule += samples
        if end is not None:
            made.append(self._page(payloads, end, _END))
        elif payloads:
            made.append(self._page(payloads, self.granule))
        return b"".join(made)

    def _page(self, payloads: Sequence[bytes], granule: int, kind: int = 0) -> bytes:
        lacing = b"".join(
            b"\xff" * (len(payload) // 255) + bytes((len(payload) % 255,)) for payload in payloads
        )
        header = _HEADER.pack(b"OggS", 0, kind, granule, self.serial, self.made, 0, len(lacing))
        self.made += 1
        return _summed(header + lacing + b"".join(payloads))


@dataclass(frozen=True, slots=True)
class LastPage:
    """The last complete page in a piece of a file."""

    start: int
    end: int
    """Offsets in the piece; what follows is a page that was cut off."""
    granule: int
    number: int
    """In its stream, from 0."""


def last_page(piece: bytes) -> LastPage | None:
    """Find the last complete page; `2 * MAX_PAGE` bytes from the end of a file have it."""
    start = piece.rfind(b"OggS")
    while start >= 0:
        size = _page_bytes(piece, start)
        page = piece[start : start + size]
        if size and _summed(page) == page:
            _, _, _, granule, _, number, *_ = _HEADER.unpack_from(piece, start)
            return LastPage(start, start + size, granule, number)
        start = piece.rfind(b"OggS", 0, start)
    return None


def as_last(page: bytes) -> bytes:
    """Return a page marked as the last one of its stream."""
    kind = bytes((page[_KIND_AT] | _END,))
    return _summed(page[:_KIND_AT] + kind + page[_KIND_AT + 1 :])


def _summed(page: bytes) -> bytes:
    """Return a page with its checksum in place of whatever it has."""
    head, rest = page[:_CHECKSUM_AT], page[_CHECKSUM_AT + 4 :]
    return head + struct.pack("<I", checksum(head + bytes(4) + rest)) + rest


def _page_bytes(piece: bytes, start: int) -> int:
    """Return the length of a page; 0 if it is cut off."""
    if start + _HEADER.size > len(piece):
        return 0
    segments = piece[start + _HEADER.size - 1]
    body = start + _HEADER.size + segments
    size = body + sum(piece[start + _HEADER.size : body]) - start
    return size if body <= len(piece) and start + size <= len(piece) else 0
