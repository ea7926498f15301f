"""Compound packets and report arithmetic (bridge.wire.rtp.rtcp); aiortc's codec is the independent one."""

import pytest
from aiortc import rtp as stock
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import LocalProtocolError, RemoteProtocolError
from bridge.wire.rtp.rtcp import (
    Bye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    ntp_middle,
    ntp_time,
    parse_compound,
    round_trip,
    serialize,
)

U32 = st.integers(0, 0xFFFF_FFFF)
BLOCKS = st.lists(
    st.builds(
        ReportBlock,
        ssrc=U32,
        fraction_lost=st.integers(0, 255),
        packets_lost=st.integers(-0x80_0000, 0x7F_FFFF),
        highest_sequence=U32,
        jitter=U32,
        last_report=U32,
        delay=U32,
    ),
    max_size=31,
).map(tuple)
TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
PACKETS: st.SearchStrategy[RtcpPacket] = st.one_of(
    st.builds(
        SenderReport,
        ssrc=U32,
        ntp=st.integers(0, 2**64 - 1),
        timestamp=U32,
        packets=U32,
        octets=U32,
        blocks=BLOCKS,
    ),
    st.builds(ReceiverReport, ssrc=U32, blocks=BLOCKS),
    st.builds(SourceDescription, ssrc=U32, cname=TEXT),
    st.builds(Bye, ssrcs=st.lists(U32, max_size=31).map(tuple), reason=TEXT),
)
BLOCK = ReportBlock(
    ssrc=5, fraction_lost=25, packets_lost=-3, highest_sequence=70_000, jitter=48,
    last_report=0x12345678, delay=65_536,
)  # fmt: skip


@given(packets=st.lists(PACKETS, min_size=1, max_size=5))
def test_a_written_compound_packet_is_read_back(packets: list[RtcpPacket]) -> None:
    assert parse_compound(serialize(packets)) == packets


def test_another_implementation_reads_what_we_write() -> None:
    report = SenderReport(ssrc=1, ntp=2**63 + 7, timestamp=9, packets=3, octets=99, blocks=(BLOCK,))
    data = serialize([report, SourceDescription(1, "w9Qm"), Bye((1, 2))])
    sender, description, bye = stock.RtcpPacket.parse(data)
    assert isinstance(sender, stock.RtcpSrPacket)
    assert sender.sender_info == stock.RtcpSenderInfo(2**63 + 7, 9, 3, 99)
    assert sender.reports == [stock.RtcpReceiverInfo(5, 25, -3, 70_000, 48, 0x12345678, 65_536)]
    assert isinstance(description, stock.RtcpSdesPacket)
    assert description.chunks == [stock.RtcpSourceInfo(1, [(1, b"w9Qm")])]
    assert bye == stock.RtcpByePacket([1, 2])


def test_we_read_what_another_implementation_writes() -> None:
    info = stock.RtcpReceiverInfo(5, 25, -3, 70_000, 48, 0x12345678, 65_536)
    chunks = [stock.RtcpSourceInfo(1, [(1, b"first"), (6, b"tool")])]
    data = bytes(stock.RtcpRrPacket(ssrc=8, reports=[info]))
    data += bytes(stock.RtcpSdesPacket(chunks)) + bytes(stock.RtcpByePacket([8]))
    assert parse_compound(data) == [
        ReceiverReport(8, (BLOCK,)),
        SourceDescription(1, "first"),
        Bye((8,)),
    ]


def test_every_chunk_of_a_source_description_is_read() -> None:
    chunks = b"\x00\x00\x00\x01\x01\x01a\x00" + b"\x00\x00\x00\x02\x04\x02+1\x00\x00\x00\x00"
    assert parse_compound(b"\x82\xca\x00\x05" + chunks) == [
        SourceDescription(1, "a"),
        SourceDescription(2, ""),
    ]


def test_unknown_kinds_are_skipped() -> None:
    feedback = bytes(stock.RtcpPsfbPacket(fmt=1, ssrc=1, media_ssrc=2))
    assert parse_compound(feedback + serialize([Bye((3,))])) == [Bye((3,))]


def test_padding_at_the_end_is_left_out() -> None:
    data = b"\xa1\xcb\x00\x02" + b"\x00\x00\x00\x07" + b"\x00\x00\x00\x04"
    assert parse_compound(data) == [Bye((7,))]


def test_a_reason_to_leave_is_read() -> None:
    assert parse_compound(b"\x81\xcb\x00\x02\x00\x00\x00\x07\x03bye") == [Bye((7,), "bye")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\xc9\x00",
        b"\x40\xc9\x00\x01" + bytes(4),  # version 1
        b"\x80\xc9\x00\x02" + bytes(4),  # shorter than it says
        b"\x80\xc8\x00\x05" + bytes(20),  # half a sender report
        b"\x80\xc9\x00\x00",  # no reporter
        b"\x81\xc9\x00\x01" + bytes(4),  # a block that is not there
        b"\x81\xca\x00\x00",  # a chunk that is not there
        b"\x81\xca\x00\x01" + bytes(4),  # items without an end
        b"\x81\xca\x00\x02" + bytes(4) + b"\x01\x09ab",  # an item beyond the packet
        b"\x81\xca\x00\x02" + bytes(4) + b"\x01\x02ab",  # no end of the items
        b"\x82\xcb\x00\x01" + bytes(4),  # a source that is not there
        b"\x81\xcb\x00\x02" + bytes(4) + b"\x09abc",  # a reason cut off
        b"\xa0\xc9\x00\x01" + b"\x00\x00\x00\x00",  # padding of no length
        b"\xa0\xc9\x00\x01" + b"\x00\x00\x00\x05",  # padding beyond the packet
        b"\xa0\xc9\x00\x00",  # padding without a byte
    ],
)
def test_a_packet_that_contradicts_itself_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_compound(data)


@given(data=st.binary(max_size=120), kind=st.integers(198, 206), count=st.integers(0, 31))
def test_any_bytes_are_read_or_refused(data: bytes, kind: int, count: int) -> None:
    words = len(data) // 4
    for attempt in (data, bytes([0x80 | count, kind, 0, words]) + data[: 4 * words]):
        try:
            parse_compound(attempt)
        except RemoteProtocolError:
            continue


@pytest.mark.parametrize(
    "packet",
    [
        Bye(tuple(range(32))),
        ReceiverReport(1, (BLOCK,) * 32),
        SourceDescription(1, "x" * 256),
    ],
)
def test_what_the_format_cannot_hold_is_not_written(packet: RtcpPacket) -> None:
    with pytest.raises(LocalProtocolError):
        serialize([packet])


def test_counters_of_a_sender_wrap() -> None:
    (report,) = parse_compound(serialize([SenderReport(1, 2, 3, 2**32 + 4, 2**32 + 5)]))
    assert report == SenderReport(1, 2, 3, 4, 5)


def test_unix_time_becomes_ntp_time() -> None:
    assert ntp_time(0.0) == 2_208_988_800 << 32
    assert ntp_time(1.5) == (2_208_988_801 << 32) + (1 << 31)
    assert ntp_middle(ntp_time(1.5)) == ((2_208_988_801 & 0xFFFF) << 16) + 0x8000


@given(seconds=st.floats(0, 2**33))
def test_ntp_time_fits_64_bits_beyond_its_era(seconds: float) -> None:
    assert 0 <= ntp_time(seconds) < 2**64


def block(*, last_report: int, delay: int) -> ReportBlock:
    return ReportBlock(1, 0, 0, 0, 0, last_report, delay)


def test_the_example_of_the_standard_has_its_round_trip() -> None:
    # RFC 3550 §6.4.1, figure 2: 0xb710:8000 - 5.250 s - 0xb705:2000 = 6.125 s.
    echoed = block(last_report=0xB705_2000, delay=0x0005_4000)
    assert round_trip(0xB710_8000, echoed) == 6.125


def test_there_is_no_round_trip_before_a_report_was_heard() -> None:
    assert round_trip(1000, block(last_report=0, delay=0)) is None


def test_a_round_trip_survives_the_wrap_of_the_clock() -> None:
    assert round_trip(0x100, block(last_report=0xFFFF_FF00, delay=0x100)) == 0x100 / 65_536


def test_a_round_trip_below_zero_is_rounding_or_nothing() -> None:
    assert round_trip(1000, block(last_report=1000, delay=3)) == 0.0
    assert round_trip(1000, block(last_report=1000, delay=65_536)) is None
