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
