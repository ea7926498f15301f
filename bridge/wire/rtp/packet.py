"""RTP packets (RFC 3550 §5), and the audio level in their header extension (RFC 6464)."""

from struct import Struct
from typing import Final, NamedTuple

from bridge.errors import RemoteProtocolError

CLOCK_RATE: Final = 48_000
"""RTP clock of Opus at any sample rate (RFC 7587 §4.1)."""

PACKET_SAMPLES: Final = 960
"""20 ms at the RTP clock."""

HEADER_BYTES: Final = 12
VERSION: Final = 2

PLAIN: Final = 0x8000
"""First 16 bits of a packet without padding, extension and CSRCs, apart from its payload type."""
EXTENDED: Final = 0x1000
"""The extension bit."""
MARKER: Final = 0x80
"""The marker bit."""

HEADER: Final = Struct("!BBHII")
"""First byte, marker and payload type, sequence, timestamp, SSRC."""
_EXTENSION: Final = Struct("!HH")
_ONE_BYTE_FORM: Final = 0xBEDE
read_header_pattern: Final = Struct("!HHII").unpack_from
"""Unpacks a header of `HEADER_BYTES`: first 16 bits, sequence, timestamp, SSRC."""
_unpack_header = HEADER.unpack_from


class RtpPacket(NamedTuple):
    """One received packet; CSRCs and padding are stripped."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    """May be empty (a packet of padding only)."""
    extension_profile: int = 0
    """The 16 bits before the header extension's length; 0 without an extension."""
    extension: bytes = b""
    """Content of the header extension, undecoded (RFC 8285)."""


def after_extension(data: bytes) -> int:
    """Return the payload offset of a packet without CSRCs whose extension bit is set.

    It may be beyond the end of a truncated packet.
    """
    if len(data) < HEADER_BYTES + 4:
        return len(data)
    words: int = _EXTENSION.unpack_from(data, HEADER_BYTES)[1]
    return HEADER_BYTES + 4 + 4 * words


def parse_packet(data: bytes) -> RtpPacket:
    """Parse a packet.

    Raises:
        RemoteProtocolError: It is not RTP version 2, or it is truncated.
    """
    if len(data) < HEADER_BYTES:
        raise RemoteProtocolError("the RTP packet is shorter than its header")
    flags, kind, sequence, timestamp, ssrc = _unpack_header(data)
    if flags == 0x80:  # fast path of nearly every packet
        return RtpPacket(kind & 127, kind > 127, sequence, timestamp, ssrc, data[12:])
    if flags >> 6 != VERSION:
        raise RemoteProtocolError("the packet is not RTP version 2")
    start, end = HEADER_BYTES + 4 * (flags & 15), len(data)
    profile, extension = 0, b""
    if flags & 0x10:
        if start + 4 > end:
            raise RemoteProtocolError("the RTP header extension is truncated")
        profile, words = _EXTENSION.unpack_from(data, start)
        start += 4
        extension = data[start : start + 4 * words]
        start += 4 * words
    if flags & 0x20:
        if data[-1] == 0:
            raise RemoteProtocolError("the RTP padding has no length")
        end -= data[-1]
    if start > end:
        raise RemoteProtocolError("the RTP packet is shorter than its header says")
    payload = data[start:end]
    return RtpPacket(kind & 127, kind > 127, sequence, timestamp, ssrc, payload, profile, extension)


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
