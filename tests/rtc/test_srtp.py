"""SRTP with reused buffers, against pylibsrtp's own sessions."""

import struct

import pytest
from pylibsrtp import Policy, Session

from bridge.errors import HandoverRefused, LocalProtocolError
from bridge.rtc.limits import MAX_SOURCES
from bridge.rtc.srtp import Refusal, Srtp

PROFILES = {
    Policy.SRTP_PROFILE_AEAD_AES_128_GCM: 28,
    Policy.SRTP_PROFILE_AES128_CM_SHA1_80: 30,
}
GCM = Policy.SRTP_PROFILE_AEAD_AES_128_GCM


def keys(profile):
    length = PROFILES[profile]
    return bytes(range(length)), bytes(range(100, 100 + length))


def make(profile=GCM):
    ours, theirs = keys(profile)
    return Srtp(profile, send_key=ours, receive_key=theirs)


def stock(profile, key, direction):
    return Session(Policy(key=key, ssrc_type=direction, srtp_profile=profile))


def stock_sender(profile=GCM):
    return stock(profile, keys(profile)[1], Policy.SSRC_ANY_OUTBOUND)


def rtp(sequence, *, ssrc=7, payload=b"sound"):
    return struct.pack("!BBHII", 0x80, 111, sequence, sequence * 960, ssrc) + payload


def rtcp(ssrc=7):
    return struct.pack("!BBHI", 0x80, 201, 1, ssrc)


@pytest.mark.parametrize("profile", PROFILES)
def test_what_we_protect_another_library_user_reads(profile):
    srtp, reader = (
        make(profile),
        stock(profile, keys(profile)[0], Policy.SSRC_ANY_INBOUND),
    )
    for sequence in (65_534, 65_535, 0, 1):
        packet = rtp(sequence)
        assert reader.unprotect(srtp.protect(packet)) == packet
    assert reader.unprotect_rtcp(srtp.protect_rtcp(rtcp())) == rtcp()


@pytest.mark.parametrize("profile", PROFILES)
def test_what_another_library_user_protects_we_read(profile):
    srtp, writer = make(profile), stock_sender(profile)
    for sequence in (65_534, 65_535, 0, 1):
        packet = rtp(sequence)
        assert srtp.unprotect(writer.protect(packet)) == packet
    assert srtp.unprotect_rtcp(writer.protect_rtcp(rtcp())) == rtcp()


def test_a_protected_packet_survives_the_next_one():
    srtp, writer = make(), stock_sender()
    first = srtp.unprotect(writer.protect(rtp(1, payload=b"one")))
    srtp.unprotect(writer.protect(rtp(2, payload=b"two")))
    assert first == rtp(1, payload=b"one")


def test_no_sequence_number_is_protected_twice():
    srtp = make()
    assert srtp.protect(rtp(1)) is not None
    assert srtp.protect(rtp(1, payload=b"other")) is None
    assert srtp.protect(rtp(2)) is not None


def test_a_replayed_packet_is_refused():
    srtp, writer = make(), stock_sender()
    packet = writer.protect(rtp(1))
    assert srtp.unprotect(packet) == rtp(1)
    assert srtp.unprotect(packet) is Refusal.REPLAYED


def test_replayed_rtcp_is_refused():
    srtp, writer = make(), stock_sender()
    packet = writer.protect_rtcp(rtcp())
    assert srtp.unprotect_rtcp(packet) == rtcp()
    assert srtp.unprotect_rtcp(packet) is Refusal.REPLAYED


@pytest.mark.parametrize("size", [12, 13, 22, 40, 200, 1500])
def test_a_forged_packet_is_refused(size):
    forged = rtp(1, payload=bytes(size))[:size]
    assert make().unprotect(forged) is Refusal.BAD


def test_a_header_with_a_wrong_length_is_refused():
    assert make().unprotect(b"\x9f" + rtp(1)[1:] + bytes(20)) is Refusal.BAD


@pytest.mark.parametrize("size", [12, 20, 60])
def test_forged_rtcp_is_refused(size):
    assert make().unprotect_rtcp((rtcp() + bytes(size))[:size]) is Refusal.BAD


def test_forged_packets_leave_no_state_behind():
    srtp, writer = make(), stock_sender()
    for ssrc in range(1000, 1000 + 2 * MAX_SOURCES):
        assert srtp.unprotect(rtp(1, ssrc=ssrc, payload=bytes(60))) is Refusal.BAD
    assert srtp.unprotect(writer.protect(rtp(1))) == rtp(1)


def test_a_peer_has_a_bounded_number_of_sources():
    srtp, writer = make(), stock_sender()
    for ssrc in range(MAX_SOURCES):
        assert srtp.unprotect(writer.protect(rtp(1, ssrc=ssrc))) == rtp(1, ssrc=ssrc)
    extra = writer.protect(rtp(1, ssrc=99))
    assert srtp.unprotect(extra) is Refusal.TOO_MANY_SOURCES
    assert srtp.unprotect_rtcp(writer.protect_rtcp(rtcp(99))) is Refusal.TOO_MANY_SOURCES
    assert srtp.unprotect(writer.protect(rtp(2, ssrc=0))) == rtp(2, ssrc=0)


def test_a_packet_longer_than_a_datagram_is_a_local_error():
    with pytest.raises(LocalProtocolError):
        make().protect(rtp(1, payload=bytes(1400)))


@pytest.mark.parametrize("profile", PROFILES)
def test_the_key_of_what_is_received_may_change_alone(profile):
    srtp, ours = make(profile), keys(profile)[0]
    other = bytes(reversed(ours))
    reader = stock(profile, ours, Policy.SSRC_ANY_INBOUND)
    assert reader.unprotect(srtp.protect(rtp(1))) == rtp(1)
    srtp.set_receive_key(other)
    before, after = stock_sender(profile), stock(profile, other, Policy.SSRC_ANY_OUTBOUND)
    assert srtp.unprotect(before.protect(rtp(1))) is Refusal.BAD
    assert srtp.unprotect(after.protect(rtp(1))) == rtp(1)
    assert srtp.protect(rtp(1)) is None  # sent before, under the same key
    assert reader.unprotect(srtp.protect(rtp(2))) == rtp(2)


@pytest.mark.parametrize("profile", PROFILES)
def test_keys_are_passed_on_with_their_indexes(profile):
    ours, reader = make(profile), stock(profile, keys(profile)[0], Policy.SSRC_ANY_INBOUND)
    writer = stock_sender(profile)
    last, old, old_report = 2 * 65_536 + 3, [b""], b""
    for index in [*range(0, last, 10_000), *range(last - 20, last)]:
        reader.unprotect(ours.protect(rtp(index & 0xFFFF, ssrc=9)))
        old.append(writer.protect(rtp(index & 0xFFFF)))
        assert isinstance(ours.unprotect(old[-1]), bytes)
    for _ in range(3):
        reader.unprotect_rtcp(ours.protect_rtcp(rtcp(9)))
        old_report = writer.protect_rtcp(rtcp())
        assert isinstance(ours.unprotect_rtcp(old_report), bytes)
    stood = ours.snapshot((9, last - 1), (7, (last - 1) & 0xFFFF))
    assert (stood.index, stood.received, stood.report_index) == (last - 1, {7: last - 1}, 3)
    new = Srtp.restored(stood)
    assert {new.unprotect(one) for one in old[-20:]} == {Refusal.REPLAYED}
    assert new.unprotect_rtcp(old_report) is Refusal.REPLAYED
    assert new.unprotect(writer.protect(rtp(last & 0xFFFF))) == rtp(last & 0xFFFF)
    assert new.unprotect_rtcp(writer.protect_rtcp(rtcp())) == rtcp()
    assert new.protect(rtp((last - 1) & 0xFFFF, ssrc=9)) is None
    reader.unprotect(new.protect(rtp(last & 0xFFFF, ssrc=9)))
    reader.unprotect_rtcp(new.protect_rtcp(rtcp(9)))
    again = new.snapshot((9, last), (7, last & 0xFFFF))
    assert (again.index, again.report_index, again.received_reports) == (last, 4, {7: 4})


def test_indexes_of_many_reports_are_used_up_before_a_report_is_sent():
    ours, reader = make(), stock(GCM, keys(GCM)[0], Policy.SSRC_ANY_INBOUND)
    last: bytes | None = None
    for _ in range(6_000):
        last = ours.protect_rtcp(rtcp(9))
    new = Srtp.restored(ours.snapshot((9, None), None))
    assert new.protect_rtcp(rtcp(9)) is None  # a later one
    following = new.protect_rtcp(rtcp(9))
    assert last is not None
    assert following is not None
    assert int.from_bytes(following[-4:], "big") == int.from_bytes(last[-4:], "big") + 1
    assert reader.unprotect_rtcp(following) == rtcp(9)


def test_a_snapshot_is_refused_where_the_numbers_do_not_agree():
    ours, writer = make(), stock_sender()
    ours.protect(rtp(10, ssrc=9))
    ours.unprotect(writer.protect(rtp(10)))
    with pytest.raises(HandoverRefused):
        ours.snapshot((9, 11), None)
    with pytest.raises(HandoverRefused):
        ours.snapshot((9, 10), (7, 12))
    assert ours.snapshot((9, 10), (7, 9)).received == {7: 10}  # it saw a later one


def test_a_snapshot_is_right_long_after_the_packet_path_has_taken_over():
    ours, writer = make(), stock_sender()
    first = writer.protect(rtp(100))
    assert isinstance(ours.unprotect(first), bytes)
    for index in range(10_100, 60_100, 10_000):
        ours.unprotect(writer.protect(rtp(index)))
        ours._newest = first  # the packet path notes none of those that it takes
        assert ours.snapshot((9, None), (7, index)).received == {7: index}


def test_streams_without_packets_have_no_index():
    stood = make().snapshot((9, None), None)
    assert (stood.index, stood.received, stood.report_index) == (None, {}, 0)
    assert Srtp.restored(stood).protect(rtp(5, ssrc=9)) is not None
