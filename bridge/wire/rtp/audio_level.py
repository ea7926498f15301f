"""The audio level header extension (RFC 6464)."""

from typing import Final

from bridge.wire.rtp.packet import RtpPacket

_ONE_BYTE_FORM: Final = 0xBEDE


def read_level(packet: RtpPacket, identifier: int) -> float | None:
    """Return the level of a packet in dBov, -127 to 0; None if it carries none.

    Only the one-byte form is read (RFC 8285 §4.2). `identifier` is the negotiated one, 1 to 14.
    """
    data = packet.extension
    if packet.extension_profile != _ONE_BYTE_FORM:
        return None
    position = 0
    while position + 1 < len(data):
        head = data[position]
        if head >> 4 == identifier:
            return -float(data[position + 1] & 0x7F)
        if head >> 4 == 15:
            return None
        position += 2 + (head & 15) if head else 1
    return None
