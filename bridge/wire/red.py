"""Redundant audio (RFC 2198): the newest packet of a stream, and some of those before it again."""

from typing import Final, NamedTuple

from bridge.errors import RemoteProtocolError
from bridge.wire.rtp import RtpPacket

_MORE: Final = 0x80
_MAX_CHAIN: Final = 16


class Block(NamedTuple):
    """One payload of several in a packet."""

    payload_type: int
    offset: int
    """How much older than the packet's own timestamp, in its clock; 0 for the newest."""
    payload: bytes
    """Empty where the sender had nothing to repeat."""


def parse(payload: bytes) -> list[Block]:
    """Read the payload of a packet: its blocks, the oldest first, the newest always last.

    Raises:
        RemoteProtocolError: It is cut off, or holds more blocks than make sense.
    """
    heads: list[tuple[int, int, int]] = []
    position = 0
    while position < len(payload) and payload[position] & _MORE:
        word = int.from_bytes(payload[position : position + 4], "big")
        heads.append(((word >> 24) & 0x7F, (word >> 10) & 0x3FFF, word & 0x3FF))
        position += 4
        if len(heads) > _MAX_CHAIN:
            raise RemoteProtocolError("a redundant packet of too many blocks")
    if position >= len(payload):
        raise RemoteProtocolError("the redundant packet is cut off")
    newest = payload[position]
    position += 1
    blocks: list[Block] = []
    for kind, offset, size in heads:
        blocks.append(Block(kind, offset, payload[position : position + size]))
        position += size
    if position > len(payload):
        raise RemoteProtocolError("the redundant packet is cut off")
    return [*blocks, Block(newest, 0, payload[position:])]


def unwrap(packet: RtpPacket) -> list[RtpPacket]:
    """Give the packets that a redundant one stands for, the oldest first, itself always last.

    Each block is taken for the packet so many before this one as there are blocks after it; those
    that are empty are left out.

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
