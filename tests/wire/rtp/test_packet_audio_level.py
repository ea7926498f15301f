"""The audio level beside a packet (bridge.wire.rtp.packet); aiortc's writer is independent."""

import pytest
from aiortc.rtp import HeaderExtensionsMap
from aiortc.rtp import RtpPacket as StockPacket
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.rtp.packet import RtpPacket, parse_packet, read_level


def packet(extension: bytes, profile: int = 0xBEDE) -> RtpPacket:
    return RtpPacket(111, False, 1, 2, 3, b"opus", profile, extension)


@pytest.mark.parametrize("voice", [True, False])
def test_what_another_implementation_writes_is_read(voice: bool) -> None:
    sent = StockPacket(payload_type=96)
    sent.extensions.audio_level = (voice, 40)
    sent.extensions.mid = "audio"
    extensions = HeaderExtensionsMap()
    extensions._HeaderExtensionsMap__ids.mid = 4  # type: ignore[attr-defined]
    extensions._HeaderExtensionsMap__ids.audio_level = 2  # type: ignore[attr-defined]
    assert read_level(parse_packet(sent.serialize(extensions)), 2) == -40.0


def test_padding_and_other_elements_are_passed_over() -> None:
    assert read_level(packet(b"\x00\x31\x01\x02\x00\x10\xa8\x00"), 1) == -40.0


@pytest.mark.parametrize(
    "silent",
    [
        packet(b""),
        packet(b"\x10"),  # cut off
        packet(b"\x20\xa8\x00\x00"),  # another element
        packet(b"\xf0\x10\xa8\x00"),  # no more elements (RFC 8285 §4.2)
        packet(b"\x10\xa8\x00\x00", profile=0x1000),  # another form
        packet(b"", profile=0),
    ],
)
def test_a_packet_may_have_no_level(silent: RtpPacket) -> None:
    assert read_level(silent, 1) is None


@given(st.binary(max_size=40), st.integers(1, 14))
def test_any_extension_has_a_level_or_none(extension: bytes, identifier: int) -> None:
    level = read_level(packet(extension), identifier)
    assert level is None or -127 <= level <= 0
