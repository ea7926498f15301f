"""A stream that goes on where another stood, in another process."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.rtp.packet import parse_packet
from bridge.wire.rtp.stream import OutgoingStream

PACKET = 320
"""Samples of a frame at 16 kHz."""


@given(
    first=st.integers(0, 2**15 - 1),
    timestamp=st.integers(0, 2**32 - 1),
    sent=st.integers(1, 40),
    pause=st.floats(0, 100),
)
def test_no_number_is_used_twice_and_the_time_that_passed_is_in_the_timestamp(
    first, timestamp, sent, pause
):
    old = OutgoingStream(ssrc=7, payload_type=111, sequence=first, timestamp=timestamp)
    now = 5.0
    for frame in range(sent):
        now = 5.0 + frame * 0.02
        assert old.stamp(frame * PACKET, "old", now) is not None
    stood = old.numbering()
    new = OutgoingStream.resumed(stood)
    assert new.numbering() == stood
    header = new.stamp(0, "new", now + pause)
    assert header is not None
    packet = parse_packet(header + b"x")
    assert (packet.ssrc, packet.marker) == (7, True)
    assert packet.sequence == (first + sent) & 0xFFFF
    ahead = new.numbering().timestamp - stood.timestamp
    assert ahead >= stood.end - stood.timestamp
    assert abs(ahead - pause * 48_000) <= 960


def test_a_telephone_event_goes_on():
    old = OutgoingStream(ssrc=7, payload_type=111, sequence=5, timestamp=1000)
    first = old.stamp_event(101, begin=True, samples=960, now=5.0)
    new = OutgoingStream.resumed(old.numbering())
    second = new.stamp_event(101, begin=False, samples=1920, now=5.02)
    assert first is not None
    assert second is not None
    assert parse_packet(second + b"x").timestamp == parse_packet(first + b"x").timestamp
    assert parse_packet(second + b"x").sequence == 6
