"""Whose packets are believed to be the peer's, and where ours go."""

import struct
from ipaddress import ip_network

import pytest

from bridge.rtc.rtp_source import PROBATION, RtpSource, SourcePolicy

NAMED, SIGNALLER, STRANGER = ("9.9.9.9", 4000), ("8.8.8.8", 61_000), ("1.1.1.1", 5000)
INSIDE = ("10.0.0.9", 4444)
GATEWAY = ("203.0.113.5", 7000)
TYPES = frozenset({0, 101})
TRUSTING = SourcePolicy((ip_network("203.0.113.0/24"), ip_network("2001:db8::/32")))
STRICT = SourcePolicy(TRUSTING.networks, strict=True)
FOLLOWED = [False] * (PROBATION - 1) + [True]


def packet(sequence: int = 1, *, kind: int = 0, ssrc: int = 7) -> bytes:
    return struct.pack("!BBHII", 0x80, kind, sequence & 0xFFFF, 0, ssrc) + bytes(160)


class Source(RtpSource):
    """A source, and how often an unverified address was heard."""

    def __init__(self, policy: SourcePolicy) -> None:
        self.unverified = 0
        self.signals_from = SIGNALLER[0]
        super().__init__(policy, signaller=lambda: self.signals_from, on_unverified=self._note)

    def _note(self) -> None:
        self.unverified += 1


def described(address: tuple[str, int] = NAMED, policy: SourcePolicy = TRUSTING) -> Source:
    source = Source(policy)
    source.describe(address, TYPES, now=0.0)
    return source


def sent(
    source: RtpSource, sender: tuple[str, int], at: float = 0.1, *, ssrc: int = 7, count: int = 3
) -> list[bool]:
    """Send packets that continue each other; return which were heard."""
    return [source.admit(sender, packet(one, ssrc=ssrc), at) for one in range(count)]


def talking(
    sender: tuple[str, int] = NAMED,
    address: tuple[str, int] = NAMED,
    policy: SourcePolicy = TRUSTING,
) -> Source:
    """Return a source whose peer has been talking from an address until 10.0."""
    source = described(address, policy)
    sent(source, sender)
    assert source.current == sender
    source.heard(packet(), 10.0)
    return source


def test_packets_go_where_the_description_says_until_one_comes() -> None:
    source = described()
    assert source.target == NAMED
    assert source.admit(NAMED, packet(), 0.1)
    assert (source.current, source.target, source.verified) == (NAMED, NAMED, True)


def test_nothing_is_believed_before_a_description() -> None:
    source = Source(TRUSTING)
    assert not source.admit(NAMED, packet(), 0.1)
    assert not source.admit(GATEWAY, packet(), 0.1)
    assert source.target is None


@pytest.mark.parametrize(
    ("named", "sender"),
    [
        (INSIDE, SIGNALLER),
        (NAMED, SIGNALLER),
        (NAMED, (NAMED[0], 4002)),
        (NAMED, GATEWAY),
        (NAMED, ("2001:db8::7", 7000)),
    ],
    ids=["nat", "signaller", "port", "network", "network6"],
)
@pytest.mark.parametrize("policy", [TRUSTING, STRICT], ids=["lenient", "strict"])
def test_packets_go_to_where_they_come_from_if_signalling_or_a_network_vouches_for_it(
    named: tuple[str, int], sender: tuple[str, int], policy: SourcePolicy
) -> None:
    source = described(named, policy)
    assert sent(source, sender) == FOLLOWED
    assert (source.target, source.verified, source.unverified) == (sender, True, 0)


@pytest.mark.parametrize("named", [NAMED, INSIDE])
def test_a_stranger_who_is_first_is_heard_and_counted_and_not_sent_to(
    named: tuple[str, int],
) -> None:
    source = described(named)
    assert sent(source, STRANGER) == FOLLOWED
    assert (source.current, source.target) == (STRANGER, named)
    assert (source.verified, source.unverified) == (False, 1)
    for second in range(1, 10):
        source.heard(packet(), float(second))
    assert source.target == named


def test_a_stranger_is_never_heard_on_a_strict_trunk() -> None:
    source = described(policy=STRICT)
    assert not any(sent(source, STRANGER, count=20))
    assert (source.current, source.target, source.unverified) == (None, NAMED, 0)


@pytest.mark.parametrize("at", [0.2, 1000.0])
def test_no_stranger_is_heard_once_the_peer_has_sent_however_long_it_is_silent(at: float) -> None:
    source = described()
    assert source.admit(NAMED, packet(), 0.1)
    assert not any(sent(source, STRANGER, at, count=20))
    assert (source.current, source.target) == (NAMED, NAMED)


def test_one_packet_of_the_peers_network_silences_a_stranger_who_was_first() -> None:
    source = described()
    sent(source, STRANGER)
    assert not source.admit(GATEWAY, packet(1, ssrc=9), 0.2)
    assert source.current is None
    assert not any(sent(source, STRANGER, 0.3))
    assert not source.admit(GATEWAY, packet(2, ssrc=9), 0.4)
    assert source.admit(GATEWAY, packet(3, ssrc=9), 0.4)
    assert (source.current, source.target) == (GATEWAY, GATEWAY)


def test_the_named_address_takes_precedence_over_a_stranger_who_was_first() -> None:
    source = talking(STRANGER)
    assert source.admit(NAMED, packet(), 10.1)
    assert (source.current, source.target, source.verified) == (NAMED, NAMED, True)


def test_a_report_of_the_peer_silences_strangers_too() -> None:
    source = described()
    sent(source, STRANGER)
    assert not source.admits_report((STRANGER[0], 5001))
    assert source.admits_report((NAMED[0], 4001))
    assert source.current is None
    assert not any(sent(source, STRANGER, 5.0, count=20))


@pytest.mark.parametrize("sequences", [[1, 3, 5], [1, 1, 1], [3, 2, 1], [1, 2]])
@pytest.mark.parametrize("sender", [SIGNALLER, STRANGER])
def test_packets_that_do_not_continue_each_other_are_no_stream(
    sequences: list[int], sender: tuple[str, int]
) -> None:
    source = described()
    assert not any(source.admit(sender, packet(one), 0.1) for one in sequences)
    assert source.target == NAMED


def test_a_stream_may_wrap_around() -> None:
    source = described()
    admitted = [source.admit(SIGNALLER, packet(one), 0.1) for one in (0xFFFE, 0xFFFF, 0x10000)]
    assert admitted == FOLLOWED


@pytest.mark.parametrize("data", [b"", bytes(12), b"\x80\x00", packet(kind=8), packet()[:11]])
def test_what_the_peer_would_not_send_is_not_believed(data: bytes) -> None:
    source = described()
    assert not source.admit(NAMED, data, 0.1)
    assert sent(source, STRANGER) == FOLLOWED, "it is no packet of the peer's, and locks nobody out"


@pytest.mark.parametrize("sender", [SIGNALLER, GATEWAY, STRANGER])
def test_nobody_else_changes_anything_while_the_peer_talks(sender: tuple[str, int]) -> None:
    source = talking()
    assert not any(sent(source, sender, 10.1, count=50))
    assert (source.current, source.target) == (NAMED, NAMED)


def test_the_peer_is_followed_once_its_old_address_is_silent_if_it_keeps_its_ssrc() -> None:
    source = talking()
    assert not source.admit(SIGNALLER, packet(100), 10.9)
    assert source.admit(SIGNALLER, packet(101), 11.0)
    assert source.target == SIGNALLER


def test_a_fresh_stream_of_a_server_is_followed_after_a_silence() -> None:
    source = talking()
    assert sent(source, SIGNALLER, 11.5, ssrc=9) == FOLLOWED
    assert source.target == SIGNALLER


def test_a_neighbour_behind_the_same_nat_does_not_take_the_telephones_place() -> None:
    source = talking(SIGNALLER, INSIDE)
    neighbour = SIGNALLER[0], 62_000
    assert not any(sent(source, neighbour, 60.0, ssrc=9, count=20))
    assert source.target == SIGNALLER
    assert source.admit(neighbour, packet(100), 60.0), "the telephone, by another port of the NAT"
    assert source.target == neighbour


def test_a_telephone_behind_a_nat_may_change_its_ssrc_and_then_its_port() -> None:
    source = talking(SIGNALLER, INSIDE)
    source.heard(packet(ssrc=9), 10.1)
    other = SIGNALLER[0], 62_000
    assert source.admit(other, packet(1, ssrc=9), 12.0)
    assert source.target == other


def test_a_telephone_that_signals_from_another_network_is_followed_there() -> None:
    source = talking(SIGNALLER, INSIDE)
    source.signals_from = "8.8.4.4"
    source.describe(INSIDE, TYPES, now=20.0)
    moved = "8.8.4.4", 62_000
    assert sent(source, moved, 21.0, ssrc=9) == FOLLOWED
    assert source.target == moved


def test_a_new_description_is_followed_at_once() -> None:
    source = talking()
    other = ("9.9.9.10", 4000)
    source.describe(other, TYPES, now=10.0)
    assert (source.current, source.target) == (NAMED, other)
    assert source.admit(other, packet(), 10.02)
    assert source.current == other


def test_a_peer_behind_a_nat_that_describes_itself_anew_stays_where_it_sends_from() -> None:
    source = talking(SIGNALLER, INSIDE)
    again = INSIDE[0], 4446
    source.describe(again, TYPES, now=10.0)
    source.heard(packet(), 10.02)
    assert source.target == again
    source.heard(packet(), 11.0)
    assert source.target == SIGNALLER


def test_a_peer_that_names_another_address_is_not_sent_to_at_the_one_before() -> None:
    source = talking()
    source.describe(INSIDE, TYPES, now=10.0)
    for second in range(11, 20):
        source.heard(packet(), float(second))
    assert (source.current, source.target, source.verified) == (NAMED, INSIDE, False)


def test_a_strict_trunk_does_not_hear_the_address_before_the_last_description() -> None:
    source = talking(policy=STRICT)
    source.describe(INSIDE, TYPES, now=10.0)
    assert not any(sent(source, NAMED, 10.1, count=20))
    assert sent(source, SIGNALLER, 10.2, ssrc=9) == FOLLOWED


def test_a_peer_that_has_named_another_address_may_send_from_a_third() -> None:
    source = talking()
    source.describe(INSIDE, TYPES, now=10.0)
    source.heard(packet(), 10.1)
    assert sent(source, SIGNALLER, 10.1, ssrc=9) == FOLLOWED


def test_after_a_new_description_a_stranger_is_heard_in_a_silence_until_the_peer_sends() -> None:
    source = talking(GATEWAY)
    source.describe(("9.9.9.10", 4000), TYPES, now=10.0)
    assert not any(sent(source, STRANGER, 10.1)), "the peer still talks"
    assert sent(source, STRANGER, 11.1, ssrc=9) == FOLLOWED
    source.describe(NAMED, TYPES, now=20.0)
    sent(source, GATEWAY, 20.1)
    source.heard(packet(), 20.2)
    assert not any(sent(source, STRANGER, 30.0, count=20))


def test_a_description_that_changes_nothing_opens_nothing_to_strangers() -> None:
    source = talking()
    source.describe(NAMED, TYPES, now=10.0)
    assert not any(sent(source, STRANGER, 20.0, count=20))


def test_nothing_is_sent_to_a_peer_that_names_no_address_and_nobody_takes_its_place() -> None:
    source = talking()
    source.describe(None, frozenset(), now=10.0)
    assert source.target is None
    assert not any(sent(source, STRANGER, 20.0, count=20))
    source.describe(NAMED, TYPES, now=20.0)
    assert source.target == NAMED


@pytest.mark.parametrize(
    ("heard", "resumed"), [(SIGNALLER, SIGNALLER), (STRANGER, INSIDE)], ids=["nat", "stranger"]
)
def test_after_a_hold_packets_go_on_to_where_they_went(
    heard: tuple[str, int], resumed: tuple[str, int]
) -> None:
    source = talking(heard, INSIDE)
    source.describe(None, frozenset(), now=10.0)
    source.describe(INSIDE, TYPES, now=20.0)
    assert source.target == resumed


def test_a_key_proves_any_address() -> None:
    source = talking(policy=STRICT)
    source.authenticated(STRANGER, packet(), 10.1)
    assert (source.current, source.target, source.verified) == (STRANGER, STRANGER, True)
    source.describe(INSIDE, TYPES, encrypted=True, now=20.0)
    assert (source.current, source.verified) == (STRANGER, True)


def test_many_strangers_take_little_memory() -> None:
    source = described()
    for port in range(1000):
        source.admit(("192.0.2.66", 1024 + port), packet(port), 0.1)
    assert sent(source, SIGNALLER, 0.2) == FOLLOWED


def test_an_address_is_unchecked_while_its_packets_need_no_check() -> None:
    source = described()
    assert source.unchecked is None
    assert source.admit(NAMED, packet(), 0.1)
    assert source.unchecked == NAMED
    source.describe((NAMED[0], 5000), TYPES, now=1.0)
    assert (source.unchecked, source.current) == (None, NAMED)
    source.heard(packet(), 1.5)
    assert source.unchecked is None
    source.heard(packet(), 2.5)
    assert (source.unchecked, source.target) == (NAMED, NAMED)


def test_an_address_that_was_heard_elsewhere_is_not_taken_for_silent() -> None:
    for heard, follows in ((10.0, FOLLOWED), (11.5, [False] * PROBATION)):
        source = talking(policy=SourcePolicy())
        source.catch_up(7, heard)
        assert source.heard_at == heard
        assert sent(source, (NAMED[0], 5000), 12.0, ssrc=9) == follows


def test_the_ssrc_that_was_heard_elsewhere_may_move_at_once() -> None:
    source = talking()
    source.catch_up(9, 11.0)
    assert source.admit((NAMED[0], 5000), packet(ssrc=9), 13.0)
