"""SRTP with reused buffers, against pylibsrtp's own sessions."""

import struct

import pytest
from pylibsrtp import Policy, Session

from bridge.errors import LocalProtocolError
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
