"""Whose packets are believed to be the peer's."""

import struct

import pytest

from bridge.rtc.rtp_source import PROBATION, RtpSource

NAMED, NAT, STRANGER = ("198.51.100.7", 4000), ("203.0.113.5", 61_000), ("192.0.2.66", 5000)
TYPES = frozenset({0, 101})


def packet(sequence: int = 1, *, kind: int = 0, ssrc: int = 7) -> bytes:
    return struct.pack("!BBHII", 0x80, kind, sequence & 0xFFFF, 0, ssrc) + bytes(160)


def described(now: float = 0.0) -> RtpSource:
    source = RtpSource()
    source.describe(NAMED, TYPES, now=now)
    return source


def talking(sender: tuple[str, int] = NAMED, until: float = 10.0) -> RtpSource:
    """Return a source whose peer has been talking from an address for a while."""
    source = described()
    for sequence in range(PROBATION):
        source.admit(sender, packet(sequence), 0.1)
    assert source.current == sender
    source.heard(until)
    return source


def test_packets_go_where_the_description_says_until_one_comes() -> None:
    source = described()
    assert source.target == NAMED
    assert source.admit(NAMED, packet(), 0.1)
    assert (source.current, source.target) == (NAMED, NAMED)


def test_nothing_is_believed_before_a_description() -> None:
    source = RtpSource()
    assert not source.admit(NAMED, packet(), 0.1)
    assert source.target is None


def test_packets_go_to_where_they_come_from_behind_a_nat() -> None:
    source = described()
    admitted = [source.admit(NAT, packet(sequence), 0.1) for sequence in range(PROBATION)]
    assert admitted == [False] * (PROBATION - 1) + [True]
    assert source.target == NAT


@pytest.mark.parametrize("sequences", [[1, 3, 5], [1, 1, 1], [3, 2, 1], [1, 2]])
def test_packets_that_do_not_continue_each_other_are_no_stream(sequences: list[int]) -> None:
    source = described()
    assert not any(source.admit(NAT, packet(one), 0.1) for one in sequences)
    assert source.target == NAMED


def test_a_stream_may_wrap_around() -> None:
    source = described()
    admitted = [source.admit(NAT, packet(one), 0.1) for one in (0xFFFE, 0xFFFF, 0x10000)]
    assert admitted == [False, False, True]


@pytest.mark.parametrize("data", [b"", bytes(12), b"\x80\x00", packet(kind=8), packet()[:11]])
def test_what_the_peer_would_not_send_is_not_believed(data: bytes) -> None:
    source = described()
    assert not source.admit(NAMED, data, 0.1)


def test_a_stranger_changes_nothing_while_the_peer_talks() -> None:
    source = talking()
    for sequence in range(50):
        assert not source.admit(STRANGER, packet(sequence), 10.1)
    assert (source.current, source.target) == (NAMED, NAMED)


def test_the_named_address_takes_precedence_over_a_stranger_who_was_first() -> None:
    source = talking(STRANGER)
    assert source.admit(NAMED, packet(), 10.1)
    assert (source.current, source.target) == (NAMED, NAMED)


def test_the_peer_is_followed_once_its_old_address_is_silent_if_it_keeps_its_ssrc() -> None:
    source = talking()
    assert not source.admit(NAT, packet(100), 10.9)
    assert source.admit(NAT, packet(101), 11.0)
    assert source.target == NAT


def test_a_fresh_stream_is_followed_after_a_silence() -> None:
    source = talking()
    admitted = [source.admit(NAT, packet(one, ssrc=9), 11.5) for one in range(3)]
    assert admitted == [False, False, True]


def test_a_new_description_is_followed_at_once() -> None:
    source = talking()
    other = ("198.51.100.8", 4000)
    source.describe(other, TYPES, now=10.0)
    assert (source.current, source.target) == (NAMED, other)
    assert source.admit(other, packet(), 10.02)
    assert source.current == other


def test_a_peer_behind_a_nat_that_describes_itself_anew_stays_where_it_sends_from() -> None:
    source = talking(NAT)
    source.describe(("10.0.0.9", 4444), TYPES, now=10.0)
    source.heard(10.02)
    assert source.target == ("10.0.0.9", 4444)
    source.heard(11.0)
    assert source.target == NAT


def test_a_peer_that_has_named_another_address_may_send_from_a_third() -> None:
    source = talking()
    source.describe(("10.0.0.9", 4444), TYPES, now=10.0)
    source.heard(10.1)
    admitted = [source.admit(NAT, packet(one, ssrc=9), 10.1) for one in range(3)]
    assert admitted == [False, False, True]


def test_a_description_that_changes_nothing_opens_nothing_to_strangers() -> None:
    source = talking()
    source.describe(NAMED, TYPES, now=10.0)
    source.heard(10.1)
    assert not any(source.admit(STRANGER, packet(one), 10.1) for one in range(5))


def test_nothing_is_sent_to_a_peer_that_names_no_address_and_nobody_takes_its_place() -> None:
    source = talking()
    source.describe(None, frozenset(), now=10.0)
    assert source.target is None
    assert not any(source.admit(STRANGER, packet(one), 20.0) for one in range(5))
    source.describe(NAMED, TYPES, now=20.0)
    assert source.target == NAMED


def test_a_key_proves_any_address() -> None:
    source = talking()
    source.authenticated(NAT, 10.1)
    assert (source.current, source.target) == (NAT, NAT)


def test_many_strangers_take_little_memory() -> None:
    source = described()
    for port in range(1000):
        source.admit(("192.0.2.66", 1024 + port), packet(port), 0.1)
    admitted = [source.admit(NAT, packet(one), 0.2) for one in range(3)]
    assert admitted[-1]
