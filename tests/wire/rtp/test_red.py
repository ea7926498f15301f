"""Redundant audio (bridge.wire.rtp.red)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.wire.rtp.packet import RtpPacket
from bridge.wire.rtp.red import Block, parse, unwrap


def written(blocks: list[Block]) -> bytes:
    """Write a payload as RFC 2198 §3 draws it."""
    *repeated, newest = blocks
    heads = b"".join(
        (0x8000_0000 | block.payload_type << 24 | block.offset << 10 | len(block.payload)).to_bytes(
            4, "big"
        )
        for block in repeated
    )
    return heads + bytes([newest.payload_type]) + b"".join(block.payload for block in blocks)


def test_a_packet_without_redundancy_holds_one_block() -> None:
    assert parse(b"\x6fopus") == [Block(111, 0, b"opus")]


def test_what_is_repeated_comes_before_what_is_new() -> None:
    blocks = [Block(111, 1920, b"one"), Block(111, 960, b"second"), Block(111, 0, b"3")]
    assert parse(written(blocks)) == blocks


@given(
    st.lists(
        st.builds(Block, st.integers(0, 127), st.integers(0, 0x3FFF), st.binary(max_size=40)),
        max_size=4,
    ),
    st.binary(max_size=40),
)
def test_what_was_written_is_read(repeated: list[Block], newest: bytes) -> None:
    blocks = [*repeated, Block(111, 0, newest)]
    assert parse(written(blocks)) == blocks


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xef",  # a head, cut off
        b"\xef\x0f\x00\x03",  # no last head
        b"\xef\x0f\x00\x03\x6fab",  # shorter than the head says
        b"\xef\x00\x00\x00" * 17 + b"\x6f",  # too many
    ],
)
def test_a_payload_shorter_than_it_says_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse(payload)


@given(st.binary(max_size=100))
def test_any_bytes_are_blocks_or_refused(payload: bytes) -> None:
    try:
        blocks = parse(payload)
    except RemoteProtocolError:
        return
    assert sum(len(block.payload) for block in blocks) < len(payload)


def test_each_block_gets_the_number_and_the_time_it_was_first_sent_with() -> None:
    blocks = [Block(111, 1920, b"a"), Block(111, 960, b"b"), Block(111, 0, b"c")]
    packet = RtpPacket(63, True, 1, 1000, 7, written(blocks))
    assert unwrap(packet) == [
        RtpPacket(111, True, 0xFFFF, 2**32 - 920, 7, b"a"),
        RtpPacket(111, True, 0, 40, 7, b"b"),
        RtpPacket(111, True, 1, 1000, 7, b"c"),
    ]


def test_empty_blocks_are_left_out_but_keep_their_place() -> None:
    blocks = [Block(111, 1920, b"a"), Block(111, 960, b""), Block(111, 0, b"c")]
    packet = RtpPacket(63, False, 12, 5000, 7, written(blocks))
    assert [(each.sequence, each.payload) for each in unwrap(packet)] == [(10, b"a"), (12, b"c")]
