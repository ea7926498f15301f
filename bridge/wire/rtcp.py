"""RTCP (RFC 3550 §6): reading and writing compound packets, and the clock arithmetic of reports."""

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Final, TypeAlias

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


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver says about one source (RFC 3550 §6.4.1)."""

    ssrc: int
    fraction_lost: int
    """Since its last report, in 256ths."""
    packets_lost: int
    """Since the beginning; negative after duplicates (24 bits, signed)."""
    highest_sequence: int
    """Extended by the number of wraps in the upper 16 bits."""
    jitter: int
    """In units of the RTP clock."""
    last_report: int = 0
    """Middle 32 bits of the NTP time of the last sender report received; 0 for none."""
    delay: int = 0
    """From receiving that report to sending this block, in 1/65536 s."""


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What a sender says about itself and what it hears."""

    ssrc: int
    ntp: int
    """64-bit NTP time."""
    timestamp: int
    """RTP timestamp of the same moment."""
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """What a party that sends nothing says about what it hears."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """The canonical name of one source (other items are not kept)."""

    ssrc: int
    cname: str
    """At most 255 bytes in UTF-8; "" when the source gave none."""


@dataclass(frozen=True, slots=True)
class Bye:
    """Sources that have gone."""

    ssrcs: tuple[int, ...]
    reason: str = ""


RtcpPacket: TypeAlias = SenderReport | ReceiverReport | SourceDescription | Bye


def ntp_time(seconds: float) -> int:
    """64-bit NTP time of a Unix time."""
    whole = int(seconds // 1)
    return ((whole + _NTP_EPOCH) << 32 | int((seconds - whole) * (1 << 32))) & ((1 << 64) - 1)


def ntp_middle(ntp: int) -> int:
    """Middle 32 bits of an NTP time: 1/65536 s, wrapping every 18 hours."""
    return (ntp >> 16) & 0xFFFF_FFFF


def round_trip(now_middle: int, block: ReportBlock) -> float | None:
    """Seconds to the reporter and back, from its block about us (RFC 3550 §6.4.1).

    Args:
        now_middle: When the block arrived, by the clock that our sender reports use.
        block: About our own SSRC.

    Returns:
        None before the reporter has heard a sender report, and for figures that contradict.
    """
    if not block.last_report:
        return None
    units = (now_middle - block.last_report - block.delay) & 0xFFFF_FFFF
    if units >= 1 << 31:  # negative: rounding, or nonsense
        return 0.0 if (1 << 32) - units <= _CLOCK_SLACK else None
    return units / _NTP_UNITS


def parse_compound(data: bytes) -> list[RtcpPacket]:
    """Read a compound packet, or a reduced-size one (RFC 5506); unknown types are skipped.

    Raises:
        RemoteProtocolError: Some packet of it is cut off or contradicts itself.
    """
    packets: list[RtcpPacket] = []
    start, total = 0, len(data)
    if not total:
        raise RemoteProtocolError("the RTCP packet is empty")
    while start < total:
        if start + 4 > total:
            raise RemoteProtocolError("the RTCP packet is cut off")
        flags, kind, words = _HEADER.unpack_from(data, start)
        end = start + 4 + 4 * words
        if flags >> 6 != 2:
            raise RemoteProtocolError("the packet is not RTCP version 2")
        if end > total:
            raise RemoteProtocolError("the RTCP packet is cut off")
        body = data[start + 4 : end]
        if flags & 0x20:
            body = _without_padding(body)
        packets.extend(_parse_one(kind, flags & 31, body))
        start = end
    return packets


def serialize(packets: Iterable[RtcpPacket]) -> bytes:
    """Write a compound packet.

    Raises:
        LocalProtocolError: It breaks a limit of the format (31 blocks or sources, 255 bytes).
    """
    return b"".join(map(_serialize_one, packets))


def _without_padding(body: bytes) -> bytes:
    if not body or not 0 < body[-1] <= len(body):
        raise RemoteProtocolError("the RTCP padding contradicts the packet's length")
    return body[: -body[-1]]


def _parse_one(kind: int, count: int, body: bytes) -> list[RtcpPacket]:
    if kind == _SENDER_REPORT:
        if len(body) < _SENDER.size:
            raise RemoteProtocolError("the RTCP sender report is cut off")
        ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
        blocks = _parse_blocks(body, _SENDER.size, count)
        return [SenderReport(ssrc, ntp, timestamp, packets, octets, blocks)]
    if kind == _RECEIVER_REPORT:
        if len(body) < _SSRC.size:
            raise RemoteProtocolError("the RTCP receiver report is cut off")
        (ssrc,) = _SSRC.unpack_from(body)
        return [ReceiverReport(ssrc, _parse_blocks(body, _SSRC.size, count))]
    if kind == _SOURCE_DESCRIPTION:
        return list(_parse_descriptions(body, count))
    if kind == _BYE:
        return [_parse_bye(body, count)]
    return []


def _parse_blocks(body: bytes, start: int, count: int) -> tuple[ReportBlock, ...]:
    if start + count * _BLOCK.size > len(body):
        raise RemoteProtocolError("the RTCP report has fewer blocks than it says")
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
            raise RemoteProtocolError("the RTCP source description is cut off")
        (ssrc,) = _SSRC.unpack_from(body, position)
        position += 4
        cname = ""
        while position < len(body) and (item := body[position]):
            if position + 2 > len(body) or position + 2 + body[position + 1] > len(body):
                raise RemoteProtocolError("the RTCP source description is cut off")
            text = body[position + 2 : position + 2 + body[position + 1]]
            if item == _CNAME:
                cname = text.decode(errors="replace")
            position += 2 + len(text)
        position = (position & ~3) + 4  # at least one zero ends the items, up to a whole word
        if position > len(body):
            raise RemoteProtocolError("the RTCP source description is cut off")
        yield SourceDescription(ssrc, cname)


def _parse_bye(body: bytes, count: int) -> Bye:
    end = 4 * count
    if end > len(body):
        raise RemoteProtocolError("the RTCP goodbye names fewer sources than it says")
    ssrcs = tuple(_SSRC.unpack_from(body, position)[0] for position in range(0, end, 4))
    reason = b""
    if end < len(body):
        reason = body[end + 1 : end + 1 + body[end]]
        if len(reason) < body[end]:
            raise RemoteProtocolError("the RTCP goodbye is cut off")
    return Bye(ssrcs, reason.decode(errors="replace"))


def _serialize_one(packet: RtcpPacket) -> bytes:
    match packet:
        case SenderReport():
            sender = _SENDER.pack(
                packet.ssrc, packet.ntp, packet.timestamp,
                packet.packets & 0xFFFF_FFFF, packet.octets & 0xFFFF_FFFF,
            )  # fmt: skip
            return _framed(
                _SENDER_REPORT, len(packet.blocks), sender + _serialize_blocks(packet.blocks)
            )
        case ReceiverReport():
            body = _SSRC.pack(packet.ssrc) + _serialize_blocks(packet.blocks)
            return _framed(_RECEIVER_REPORT, len(packet.blocks), body)
        case SourceDescription():
            name = _counted(packet.cname)
            chunk = _SSRC.pack(packet.ssrc) + bytes([_CNAME]) + name
            return _framed(_SOURCE_DESCRIPTION, 1, chunk + bytes(4 - len(chunk) % 4))
        case Bye():
            body = b"".join(map(_SSRC.pack, packet.ssrcs))
            if packet.reason:
                body += _counted(packet.reason)
            return _framed(_BYE, len(packet.ssrcs), body + bytes(-len(body) % 4))


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


def _counted(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) > 255:
        raise LocalProtocolError("a text in RTCP is over 255 bytes")
    return bytes([len(encoded)]) + encoded


def _framed(kind: int, count: int, body: bytes) -> bytes:
    if count > 31:
        raise LocalProtocolError("an RTCP packet holds at most 31 blocks or sources")
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body
