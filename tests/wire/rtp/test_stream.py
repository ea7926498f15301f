"""The numbers of an outgoing RTP stream."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.rtp.packet import RtpPacket, parse_packet
from bridge.wire.rtp.stream import OutgoingStream

SSRC = 0xDEADBEEF


def stream(*, sequence: int = 1000, timestamp: int = 50_000) -> OutgoingStream:
    return OutgoingStream(ssrc=SSRC, payload_type=111, sequence=sequence, timestamp=timestamp)


def stamped(header: bytes | None) -> RtpPacket:
    assert header is not None
    return parse_packet(header + b"\x01")


def test_the_first_packet_has_the_given_numbers_and_the_marker() -> None:
    packet = stamped(stream().stamp(123_456, "a", 10.0))
    assert packet == RtpPacket(111, True, 1000, 50_000, SSRC, b"\x01")


def test_within_a_timeline_the_source_s_spacing_is_carried_over() -> None:
    outgoing = stream()
    packets = [stamped(outgoing.stamp(pts, 1, 0.0)) for pts in (0, 320, 640, 1600, 1920)]
    assert [packet.timestamp - 50_000 for packet in packets] == [0, 960, 1920, 4800, 5760]
    assert [packet.sequence for packet in packets] == [1000, 1001, 1002, 1003, 1004]


def test_the_marker_is_set_after_a_gap_only() -> None:
    outgoing = stream()
    packets = [stamped(outgoing.stamp(pts, 1, 0.0)) for pts in (0, 320, 640, 1600, 1920)]
    assert [packet.marker for packet in packets] == [True, False, False, True, False]


def test_a_frame_whose_time_was_sent_is_dropped_and_counted() -> None:
    outgoing = stream()
    outgoing.stamp(320, 1, 0.0)
    outgoing.stamp(640, 1, 0.02)
    assert [outgoing.stamp(pts, 1, 0.04) for pts in (640, 320, 0, 959)] == [None] * 4
    assert (outgoing.dropped, outgoing.packets) == (4, 2)
    assert stamped(outgoing.stamp(960, 1, 0.04)).sequence == 1002


@pytest.mark.parametrize(
    ("pause", "advance"),
    [(0.0, 960), (0.001, 960), (0.02, 960), (0.029, 960), (0.031, 1920), (1.0, 48_000)],
)
def test_a_new_timeline_goes_on_by_the_time_passed_in_whole_packets(
    pause: float, advance: int
) -> None:
    outgoing = stream()
    outgoing.stamp(0, "a", 5.0)
    packet = stamped(outgoing.stamp(77_777, "b", 5.0 + pause))
    assert (packet.timestamp, packet.sequence, packet.marker) == (50_000 + advance, 1001, True)
    assert stamped(outgoing.stamp(78_097, "b", 9.0)).timestamp == 50_000 + advance + 960


def test_a_timeline_that_comes_back_is_a_new_one() -> None:
    outgoing = stream()
    outgoing.stamp(0, "a", 0.0)
    outgoing.stamp(0, "b", 0.02)
    packet = stamped(outgoing.stamp(0, "a", 0.04))
    assert (packet.timestamp, packet.marker) == (51_920, True)


def test_a_longer_packet_is_not_overlapped_by_the_next_timeline() -> None:
    outgoing = stream()
    outgoing.stamp(0, "a", 0.0, samples=2880)
    assert stamped(outgoing.stamp(0, "b", 0.0)).timestamp == 52_880


def test_a_position_half_the_clock_away_begins_anew() -> None:
    outgoing = stream()
    outgoing.stamp(0, "a", 0.0)
    packet = stamped(outgoing.stamp(1 << 30, "a", 0.02))
    assert (packet.timestamp, packet.marker) == (50_960, True)


def test_sender_reports_find_their_figures() -> None:
    outgoing = stream(timestamp=0xFFFF_FFFF)
    outgoing.stamp(0, "a", 5.0)
    outgoing.stamp(320, "a", 5.02)
    outgoing.count_payload(60)
    outgoing.count_payload(61)
    assert (outgoing.packets, outgoing.octets, outgoing.last_time) == (2, 121, 5.02)
    assert outgoing.timestamp_at(5.02) == 959
    assert outgoing.timestamp_at(5.52) == 959 + 24_000


def test_all_packets_of_an_event_carry_the_time_of_its_beginning() -> None:
    outgoing = stream()
    outgoing.stamp(0, "a", 0.0)
    headers = [
        outgoing.stamp_event(101, begin=step == 1, samples=960 * step, now=0.02 * step)
        for step in (1, 2, 3)
    ]
    packets = [stamped(header) for header in headers]
    assert [packet.timestamp for packet in packets] == [50_960] * 3
    assert [packet.sequence for packet in packets] == [1001, 1002, 1003]
    assert [packet.marker for packet in packets] == [True, False, False]
    assert {packet.payload_type for packet in packets} == {101}
    assert outgoing.last_time == 0.02


def test_sound_under_an_event_is_dropped() -> None:
    outgoing = stream()
    outgoing.stamp(0, "a", 0.0)
    outgoing.stamp_event(101, begin=True, samples=960, now=0.02)
    outgoing.stamp_event(101, begin=False, samples=1920, now=0.04)
    assert outgoing.stamp(320, "a", 0.04) is None
    assert outgoing.stamp(640, "a", 0.05) is None
    assert stamped(outgoing.stamp(960, "a", 0.06)).timestamp == 52_880


def test_an_event_is_over_once_sound_was_sent_again() -> None:
    outgoing = stream()
    assert outgoing.stamp_event(101, begin=True, samples=960, now=0.0) is not None
    assert outgoing.stamp(320, "a", 0.02) is not None
    assert outgoing.stamp_event(101, begin=False, samples=1920, now=0.02) is None


@dataclass(frozen=True)
class Step:
    """One thing that happens to an outgoing stream."""

    wait: float
    epoch: int
    advance: int
    """How far the source goes on, in samples at 16 kHz; negative for a late frame."""
    samples: int
    event: bool


STEPS = st.lists(
    st.builds(
        Step,
        wait=st.one_of(
            st.just(0.0), st.just(0.02), st.floats(0, 0.2), st.floats(0, 50_000), st.just(1e6)
        ),
        epoch=st.integers(0, 2),
        advance=st.one_of(
            st.just(320), st.just(320), st.integers(-2000, 5000), st.integers(-(2**31), 2**31)
        ),
        samples=st.sampled_from([960, 960, 480, 1920, 2880]),
        event=st.sampled_from([False, False, False, False, True]),
    ),
    max_size=60,
)


@given(
    steps=STEPS,
    sequence=st.one_of(st.integers(0, 0xFFFF), st.integers(0xFFF0, 0xFFFF)),
    timestamp=st.one_of(st.integers(0, 2**32 - 1), st.integers(2**32 - 5000, 2**32 - 1)),
)
def test_whatever_happens_the_numbers_only_go_on(
    steps: list[Step], sequence: int, timestamp: int
) -> None:
    """Pauses, switches, bursts, late frames, events and wraps, against a model of the rules."""
    outgoing = stream(sequence=sequence, timestamp=timestamp)
    now, sent, dropped = 100.0, 0, 0
    last = end = timestamp  # unwrapped
    last_time = now
    current: int | None = None
    positions = dict.fromkeys(range(3), 0)
    offset = 0  # of the model: RTP time of position 0 of the current timeline
    for step in steps:
        now += step.wait
        elapsed = round((now - last_time) * 48_000 / 960) * 960
        resumed = max(end, last + min(elapsed, 2**31 - 960)) if sent else timestamp
        if step.event:
            header = outgoing.stamp_event(101, begin=True, samples=step.samples, now=now)
            expected, marker = resumed, True
        else:
            positions[step.epoch] += step.advance
            position = positions[step.epoch]
            header = outgoing.stamp(position, step.epoch, now, samples=step.samples)
            expected = position * 3 + offset
            if step.epoch != current or expected - last >= 2**31:
                current, expected, marker = step.epoch, resumed, True
                offset = expected - position * 3
            elif expected < end:
                dropped += 1
                assert header is None
                continue
            else:
                marker = expected != end
        packet = stamped(header)
        assert packet.sequence == (sequence + sent) % 2**16  # so no (sequence, roll-over) twice
        assert packet.timestamp == expected % 2**32
        assert packet.marker == marker
        assert (packet.timestamp - last) % 2**32 < 2**31  # never back
        sent += 1
        last, end, last_time = expected, expected + step.samples, now
    assert (outgoing.packets, outgoing.dropped) == (sent, dropped)
