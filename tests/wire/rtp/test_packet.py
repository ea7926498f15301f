"""RTP packets; aiortc's writer is the independent one."""

import pytest
from aiortc.rtp import HeaderExtensionsMap
from aiortc.rtp import RtpPacket as StockPacket
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.wire.rtp.packet import RtpPacket, after_extension, parse_packet

SSRC = 0xDEADBEEF


def test_a_plain_packet_is_read() -> None:
    data = b"\x80\xef\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03opus"
    assert parse_packet(data) == RtpPacket(111, True, 1, 2, 3, b"opus")


def test_sources_extension_and_padding_are_stripped() -> None:
    packet = StockPacket(payload_type=96, sequence_number=7, timestamp=9, ssrc=3)
    packet.csrc = [1, 2]
    packet.payload = b"opus"
    packet.padding_size = 4
    packet.extensions.audio_level = (True, 40)
    extensions = HeaderExtensionsMap()
    extensions._HeaderExtensionsMap__ids.audio_level = 1  # type: ignore[attr-defined]
    read = parse_packet(packet.serialize(extensions))
    assert (read.payload, read.extension_profile) == (b"opus", 0xBEDE)
    assert read.extension == b"\x10\xa8\x00\x00"
    assert (read.payload_type, read.marker, read.sequence) == (96, False, 7)


def test_a_packet_may_hold_nothing_but_padding() -> None:
    assert parse_packet(b"\xa0" + bytes(11) + b"\x00\x00\x00\x04").payload == b""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        b"\x40" + bytes(11),  # version 1
        b"\x81" + bytes(11),  # a source, cut off
        b"\x90" + bytes(11),  # an extension, cut off
        b"\x90" + bytes(11) + b"\xbe\xde\x00\x01",  # its content, cut off
        b"\xa0" + bytes(12),  # padding of no length
        b"\xa0" + bytes(11) + b"\x02",  # longer than the payload
    ],
)
def test_a_packet_shorter_than_it_says_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_packet(data)


@given(data=st.binary(max_size=80), first=st.integers(0, 255))
def test_any_bytes_are_a_packet_or_refused(data: bytes, first: int) -> None:
    data = bytes([first]) + data
    try:
        packet = parse_packet(data)
    except RemoteProtocolError:
        return
    assert packet.payload in data
    assert len(packet.payload) + len(packet.extension) + 12 <= len(data)


@given(
    payload_type=st.integers(0, 127),
    marker=st.booleans(),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    sources=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15),
    padding=st.integers(0, 255),
    payload=st.binary(max_size=50),
)
def test_what_another_implementation_writes_is_read(
    payload_type: int,
    marker: bool,
    sequence: int,
    timestamp: int,
    sources: list[int],
    padding: int,
    payload: bytes,
) -> None:
    packet = StockPacket(payload_type, int(marker), sequence, timestamp, SSRC, payload)
    packet.csrc = sources
    packet.padding_size = padding
    expected = RtpPacket(payload_type, marker, sequence, timestamp, SSRC, payload)
    assert parse_packet(packet.serialize()) == expected


def test_where_an_extension_ends() -> None:
    header = bytes([0x90, 111]) + bytes(10)
    assert after_extension(header + bytes([0xBE, 0xDE, 0, 2]) + bytes(8) + b"sound") == 24
    assert after_extension(header + bytes([0xBE, 0xDE, 1, 0])) == 16 + 1024
    assert after_extension(header + b"\xbe\xde") == 14
