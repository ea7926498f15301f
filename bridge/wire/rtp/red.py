"""Redundant audio data, RED (RFC 2198)."""

from typing import Final, NamedTuple

from bridge.errors import RemoteProtocolError
from bridge.wire.rtp.packet import RtpPacket

_MORE: Final = 0x80
_MAX_BLOCKS: Final = 16


class Block(NamedTuple):
    """One block of a redundant packet."""

    payload_type: int
    offset: int
    """Timestamp offset into the past, in RTP clock units; 0 for the primary block."""
    payload: bytes
    """Empty if the sender had nothing to repeat."""


def parse(payload: bytes) -> list[Block]:
    """Parse a payload into its blocks, oldest first; the last is the primary one.

    Raises:
        RemoteProtocolError: It is truncated or has too many blocks.
    """
    headers: list[tuple[int, int, int]] = []
    position = 0
    while position < len(payload) and payload[position] & _MORE:
        word = int.from_bytes(payload[position : position + 4], "big")
        headers.append(((word >> 24) & 0x7F, (word >> 10) & 0x3FFF, word & 0x3FF))
        position += 4
        if len(headers) > _MAX_BLOCKS:
            raise RemoteProtocolError("the redundant packet has too many blocks")
    if position >= len(payload):
        raise RemoteProtocolError("the redundant packet is truncated")
    primary = payload[position]
    position += 1
    blocks: list[Block] = []
    for kind, offset, size in headers:
        blocks.append(Block(kind, offset, payload[position : position + size]))
        position += size
    if position > len(payload):
        raise RemoteProtocolError("the redundant packet is truncated")
    return [*blocks, Block(primary, 0, payload[position:])]


def unwrap(packet: RtpPacket) -> list[RtpPacket]:
    """Return the packets contained in a redundant one, oldest first, the primary one last.

    Blocks are assumed to be those of consecutive packets; empty ones are left out.

    Raises:
        RemoteProtocolError: As `parse`.
    """
    blocks = parse(packet.payload)
    last = len(blocks) - 1
    return [
        packet._replace(
            payload_type=block.payload_type,
            sequence=(packet.sequence - (last - index)) & 0xFFFF,
            timestamp=(packet.timestamp - block.offset) & 0xFFFF_FFFF,
            payload=block.payload,
        )
        for index, block in enumerate(blocks)
        if block.payload or index == last
    ]
