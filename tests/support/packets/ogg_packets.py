"""Ogg as RFC 3533 has it, read by the letter: every page's checksum, sequence and granule position."""

import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """One page, all of whose packets are whole."""

    kind: int
    granule: int
    serial: int
    sequence: int
    packets: list[bytes]


def checksum(data: bytes) -> int:
    """The CRC of RFC 3533, bit by bit."""
    register = 0
    for byte in data:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1) ^ (0x04C11DB7 if register & 0x8000_0000 else 0)
            register &= 0xFFFF_FFFF
    return register


def pages_of(data: bytes) -> list[Page]:
    """All pages of a file that is nothing but pages."""
    pages = []
    while data:
        magic, version, kind, granule, serial, sequence, crc, count = struct.unpack(
            "<4sBBqIIIB", data[:27]
        )
        assert (magic, version) == (b"OggS", 0)
        lacing = data[27 : 27 + count]
        size = 27 + count + sum(lacing)
        assert len(data) >= size
        assert checksum(data[:22] + bytes(4) + data[26:size]) == crc
        packets, start, length = [], 27 + count, 0
        for value in lacing:
            length += value
            if value < 255:
                packets.append(data[start : start + length])
                start, length = start + length, 0
        assert length == 0
        pages.append(Page(kind, granule, serial, sequence, packets))
        data = data[size:]
    return pages


def packets_of(data: bytes) -> list[bytes]:
    """The packets of audio."""
    return [packet for page in pages_of(data)[2:] for packet in page.packets]
