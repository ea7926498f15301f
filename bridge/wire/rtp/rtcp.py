"""RTCP compound packets and the clock arithmetic of reports (RFC 3550 §6)."""

from collections.abc import Iterable
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

from bridge.errors import LocalProtocolError, RemoteProtocolError

_SENDER_REPORT: Final = 200
_RECEIVER_REPORT: Final = 201
_SOURCE_DESCRIPTION: Final = 202
_BYE: Final = 203
_CNAME: Final = 1

_HEADER: Final = Struct("!BBH")
_SSRC: Final = Struct("!I")
_SENDER: Final = Struct("!IQIII")
_BLOCK: Final = Struct("!IIIIII")

_NTP_EPOCH: Final = 2_208_988_800  # 1970-01-01 counted from 1900-01-01
_NTP_UNITS: Final = 65_536  # of the middle 32 bits, in a second
_CLOCK_SLACK: Final = 66  # 1 ms in the same unit


class ReportBlock(NamedTuple):
    """Reception report of one source (RFC 3550 §6.4.1)."""

    ssrc: int
    fraction_lost: int
    """Since the previous report, in 1/256."""
    packets_lost: int
    """Cumulative; negative after duplicates (24 bits, signed)."""
    highest_sequence: int
    """Extended by the number of wraps in the upper 16 bits."""
    jitter: int
    """In units of the RTP clock."""
    last_report: int = 0
    """Middle 32 bits of the NTP time of the last sender report received; 0 for none."""
    delay: int = 0
    """From receiving that report to sending this block, in 1/65536 s."""


class SenderReport(NamedTuple):
    """Sender report (RFC 3550 §6.4.1)."""

    ssrc: int
    ntp: int
    """64-bit NTP time."""
    timestamp: int
    """RTP timestamp of the same moment."""
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()


class ReceiverReport(NamedTuple):
    """Receiver report (RFC 3550 §6.4.2)."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


class SourceDescription(NamedTuple):
    """The CNAME of one source; other items are ignored."""

    ssrc: int
    cname: str
    """At most 255 bytes in UTF-8; "" if missing."""


class Bye(NamedTuple):
    """Sources that have left."""

    ssrcs: tuple[int, ...]
    reason: str = ""


RtcpPacket: TypeAlias = SenderReport | ReceiverReport | SourceDescription | Bye


def ntp_time(seconds: float) -> int:
    """Convert Unix time to a 64-bit NTP timestamp."""
    whole = int(seconds // 1)
    return ((whole + _NTP_EPOCH) << 32 | int((seconds - whole) * (1 << 32))) & ((1 << 64) - 1)


def ntp_middle(ntp: int) -> int:
    """Return the middle 32 bits of an NTP timestamp: 1/65536 s, wrapping every 18 hours."""
    return (ntp >> 16) & 0xFFFF_FFFF


def round_trip(now_middle: int, block: ReportBlock) -> float | None:
    """Return the round trip time in seconds (RFC 3550 §6.4.1); None if the block has none.

    The block came at `now_middle`, by the clock of our sender reports.
    """
    if not block.last_report:
        return None
    units = (now_middle - block.last_report - block.delay) & 0xFFFF_FFFF
    if units >= 1 << 31:  # negative: rounding, or nonsense
        return 0.0 if (1 << 32) - units <= _CLOCK_SLACK else None
    return units / _NTP_UNITS


def parse_compound(data: bytes) -> list[RtcpPacket]:
    """Parse a compound or reduced-size packet (RFC 5506); unknown types are skipped.

    Raises:
        RemoteProtocolError: A packet in it is truncated or inconsistent.
    """
    packets: list[RtcpPacket] = []
    start, total = 0, len(data)
    if not total:
        raise RemoteProtocolError("the RTCP packet is empty")
    while start < total:
        if start + 4 > total:
            raise RemoteProtocolError("the RTCP packet is truncated")
        flags, kind, words = _HEADER.unpack_from(data, start)
        end = start + 4 + 4 * words
        if flags >> 6 != 2:
            raise RemoteProtocolError("the packet is not RTCP version 2")
        if end > total:
            raise RemoteProtocolError("the RTCP packet is truncated")
        body = data[start + 4 : end]
        if flags & 0x20:
            if not body or not 0 < body[-1] <= len(body):
                raise RemoteProtocolError("the RTCP padding is longer than the packet")
            body = body[: -body[-1]]
        packets.extend(_parse_one(kind, flags & 31, body))
        start = end
    return packets


def serialize(packets: Iterable[RtcpPacket]) -> bytes:
    """Serialize a compound packet.

    Raises:
        LocalProtocolError: A limit of the format is exceeded (31 blocks or sources, 255 bytes).
    """
    return b"".join(map(_serialize_one, packets))


def _parse_one(kind: int, count: int, body: bytes) -> list[RtcpPacket]:
    if kind == _SENDER_REPORT:
        if len(body) < _SENDER.size:
            raise RemoteProtocolError("the RTCP sender report is truncated")
        ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
        blocks = _parse_blocks(body, _SENDER.size, count)
        return [SenderReport(ssrc, ntp, timestamp, packets, octets, blocks)]
    if kind == _RECEIVER_REPORT:
        if len(body) < _SSRC.size:
            raise RemoteProtocolError("the RTCP receiver report is truncated")
        (ssrc,) = _SSRC.unpack_from(body)
        return [ReceiverReport(ssrc, _parse_blocks(body, _SSRC.size, count))]
    if kind == _SOURCE_DESCRIPTION:
        return list(_parse_descriptions(body, count))
    if kind == _BYE:
        return [_parse_bye(body, count)]
    return []


def _parse_blocks(body: bytes, start: int, count: int) -> tuple[ReportBlock, ...]:
    if start + count * _BLOCK.size > len(body):
        raise RemoteProtocolError("the RTCP report has fewer blocks than its header says")
    blocks = []
    for position in range(start, start + count * _BLOCK.size, _BLOCK.size):
        ssrc, losses, highest, jitter, last_report, delay = _BLOCK.unpack_from(body, position)
        lost = losses & 0xFF_FFFF
        if lost & 0x80_0000:
            lost -= 1 << 24
        blocks.append(ReportBlock(ssrc, losses >> 24, lost, highest, jitter, last_report, delay))
    return tuple(blocks)


def _parse_descriptions(body: bytes, count: int) -> Iterable[SourceDescription]:
    position = 0
    for _ in range(count):
        if position + 4 > len(body):
            raise RemoteProtocolError("the RTCP source description is truncated")
        (ssrc,) = _SSRC.unpack_from(body, position)
        position += 4
        cname = ""
        while position < len(body) and (item := body[position]):
            if position + 2 > len(body) or position + 2 + body[position + 1] > len(body):
                raise RemoteProtocolError("the RTCP source description is truncated")
            text = body[position + 2 : position + 2 + body[position + 1]]
            if item == _CNAME:
                cname = text.decode(errors="replace")
            position += 2 + len(text)
        position = (position & ~3) + 4  # items end with at least one zero, padded to a word
        if position > len(body):
            raise RemoteProtocolError("the RTCP source description is truncated")
        yield SourceDescription(ssrc, cname)


def _parse_bye(body: bytes, count: int) -> Bye:
    end = 4 * count
    if end > len(body):
        raise RemoteProtocolError("the RTCP BYE has fewer sources than its header says")
    ssrcs = tuple(_SSRC.unpack_from(body, position)[0] for position in range(0, end, 4))
    reason = b""
    if end < len(body):
        reason = body[end + 1 : end + 1 + body[end]]
        if len(reason) < body[end]:
            raise RemoteProtocolError("the RTCP BYE is truncated")
    return Bye(ssrcs, reason.decode(errors="replace"))


def _serialize_one(packet: RtcpPacket) -> bytes:
    match packet:
        case SenderReport():
            sender = _SENDER.pack(
                packet.ssrc, packet.ntp, packet.timestamp,
                packet.packets & 0xFFFF_FFFF, packet.octets & 0xFFFF_FFFF,
            )  # fmt: skip
            return _with_header(
                _SENDER_REPORT, len(packet.blocks), sender + _serialize_blocks(packet.blocks)
            )
        case ReceiverReport():
            body = _SSRC.pack(packet.ssrc) + _serialize_blocks(packet.blocks)
            return _with_header(_RECEIVER_REPORT, len(packet.blocks), body)
        case SourceDescription():
            name = _length_prefixed(packet.cname)
            chunk = _SSRC.pack(packet.ssrc) + bytes([_CNAME]) + name
            return _with_header(_SOURCE_DESCRIPTION, 1, chunk + bytes(4 - len(chunk) % 4))
        case Bye():
            body = b"".join(map(_SSRC.pack, packet.ssrcs))
            if packet.reason:
                body += _length_prefixed(packet.reason)
            return _with_header(_BYE, len(packet.ssrcs), body + bytes(-len(body) % 4))


def _serialize_blocks(blocks: tuple[ReportBlock, ...]) -> bytes:
    return b"".join(
        _BLOCK.pack(
            block.ssrc,
            block.fraction_lost << 24 | block.packets_lost & 0xFF_FFFF,
            block.highest_sequence,
            block.jitter,
            block.last_report,
            block.delay,
        )
        for block in blocks
    )


def _length_prefixed(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) > 255:
        raise LocalProtocolError("an RTCP text is longer than 255 bytes")
    return bytes([len(encoded)]) + encoded


def _with_header(kind: int, count: int, body: bytes) -> bytes:
    if count > 31:
        raise LocalProtocolError("an RTCP packet holds at most 31 blocks or sources")
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body
