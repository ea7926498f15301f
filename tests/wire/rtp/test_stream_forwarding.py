"""Relayed packets among the others of an outgoing stream (bridge.wire.rtp.packet)."""

from dataclasses import dataclass

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


def forward(
    outgoing: OutgoingStream, number: int, *, epoch: str = "a", now: float | None = None
) -> RtpPacket | None:
    """Pass packet `number` of a source on, which began at sequence 500."""
    header = outgoing.stamp_forwarded(
        (500 + number) & 0xFFFF,
        960 * number,
        epoch,
        0.02 * number if now is None else now,
        samples=960,
    )
    return None if header is None else stamped(header)


def test_gaps_and_order_of_the_source_are_kept() -> None:
    outgoing = stream()
    packets = [forward(outgoing, number) for number in (0, 1, 5, 3, 6)]
    assert [packet and packet.sequence for packet in packets] == [1000, 1001, 1005, 1003, 1006]
    assert [packet and packet.timestamp for packet in packets] == [
        50_000 + 960 * number for number in (0, 1, 5, 3, 6)
    ]


def test_a_sequence_number_is_used_once() -> None:
    outgoing = stream()
    packets = [forward(outgoing, number) for number in (0, 1, 1, 3, 2, 2, 3)]
    assert [packet and packet.sequence for packet in packets] == [
        1000, 1001, None, 1003, 1002, None, None,
    ]  # fmt: skip
    assert (outgoing.packets, outgoing.dropped) == (4, 3)


def test_what_was_overtaken_by_the_beginning_of_the_relay_is_dropped() -> None:
    outgoing = stream()
    assert forward(outgoing, 5) is not None
    assert forward(outgoing, 4) is None
    assert forward(outgoing, 6) is not None


def test_what_was_overtaken_by_a_frame_is_dropped() -> None:
    outgoing = stream()
    forward(outgoing, 0)
    forward(outgoing, 2)
    assert stamped(outgoing.stamp(960, "a", 0.06)).sequence == 1003
    assert forward(outgoing, 1) is None
    assert forward(outgoing, 4) == RtpPacket(111, False, 1004, 53_840, SSRC, b"\x01")


def test_frames_go_on_where_packets_ended_and_the_other_way_round() -> None:
    outgoing = stream()
    numbers = [
        outgoing.stamp(320 * n, "a", 0.02 * n)
        if n // 3 % 2
        else outgoing.stamp_forwarded(n, 960 * n, "a", 0.02 * n, samples=960)
        for n in range(12)
    ]
    packets = [stamped(header) for header in numbers]
    assert [packet.sequence for packet in packets] == list(range(1000, 1012))
    assert [packet.timestamp for packet in packets] == [50_000 + 960 * n for n in range(12)]
    assert [packet.marker for packet in packets] == [True] + [False] * 11


def test_packets_under_an_event_are_dropped_and_leave_no_hole() -> None:
    outgoing = stream()
    forward(outgoing, 0)
    outgoing.stamp_event(101, begin=True, samples=960, now=0.02)
    outgoing.stamp_event(101, begin=False, samples=1920, now=0.04)
    assert forward(outgoing, 1) is None
    assert forward(outgoing, 2) is None
    packet = forward(outgoing, 3)
    assert packet == RtpPacket(111, False, 1003, 52_880, SSRC, b"\x01")


def test_a_pause_of_minutes_is_no_loss() -> None:
    outgoing = stream()
    forward(outgoing, 0)
    packet = forward(outgoing, 50_000)
    assert packet is not None
    assert (packet.sequence, packet.marker) == (1001, True)
    assert packet.timestamp == 50_000 + 960 * 50_000


def test_another_source_goes_on_by_the_time_passed() -> None:
    outgoing = stream()
    forward(outgoing, 0, now=0.0)
    packet = forward(outgoing, 900, epoch="b", now=0.1)
    assert packet is not None
    assert (packet.sequence, packet.timestamp, packet.marker) == (1001, 54_800, True)


def test_overtaken_packets_do_not_move_the_clock_of_sender_reports() -> None:
    outgoing = stream()
    forward(outgoing, 0)
    forward(outgoing, 2)
    forward(outgoing, 1, now=0.05)
    assert (outgoing.timestamp_at(0.04), outgoing.last_time) == (51_920, 0.04)
    assert outgoing.packets == 3


@dataclass(frozen=True)
class Step:
    """One thing that happens to an outgoing stream."""

    kind: str
    wait: float
    epoch: int
    number: int
    """How far the source's sequence goes on."""
    advance: int
    """How far its time goes on, in samples at 16 kHz."""
    samples: int


STEPS = st.lists(
    st.builds(
        Step,
        kind=st.sampled_from(["packet", "packet", "packet", "frame", "frame", "event", "event on"]),
        wait=st.one_of(st.just(0.0), st.just(0.02), st.floats(0, 5), st.just(1e6)),
        epoch=st.sampled_from([0, 0, 0, 1]),
        number=st.one_of(
            st.just(1), st.just(1), st.integers(-70, 70), st.integers(-(2**15), 2**15 - 1)
        ),
        advance=st.one_of(
            st.just(320), st.just(320), st.integers(-70, 70).map(lambda n: 320 * n),
            st.integers(-(2**31), 2**31),
        ),
        samples=st.sampled_from([960, 960, 480, 1920, 2880]),
    ),
    max_size=80,
)  # fmt: skip


@given(
    steps=STEPS,
    sequence=st.one_of(st.integers(0, 0xFFFF), st.integers(0xFF80, 0xFFFF)),
    timestamp=st.one_of(st.integers(0, 2**32 - 1), st.integers(2**32 - 5000, 2**32 - 1)),
    source=st.integers(0, 0xFFFF),
)
def test_whatever_happens_no_sequence_number_is_used_twice(
    steps: list[Step], sequence: int, timestamp: int, source: int
) -> None:
    """Alternate between packets and frames, pauses, bursts, reordering, duplicates, wraps."""
    outgoing = stream(sequence=sequence, timestamp=timestamp)
    now, position, dropped = 0.0, 0, 0
    newest, newest_timestamp = sequence - 1, timestamp - 1  # unwrapped, and as sent
    given_out: set[int] = set()
    for step in steps:
        now += step.wait
        source = (source + step.number) & 0xFFFF
        position += step.advance
        if step.kind == "packet":
            header = outgoing.stamp_forwarded(
                source, 3 * position, step.epoch, now, samples=step.samples
            )
        elif step.kind == "frame":
            header = outgoing.stamp(position, step.epoch, now, samples=step.samples)
        else:
            header = outgoing.stamp_event(
                101, begin=step.kind == "event", samples=step.samples, now=now
            )
        if header is None:
            dropped += step.kind in ("packet", "frame")
            continue
        packet = stamped(header)
        ahead = ((packet.sequence - newest + 0x8000) & 0xFFFF) - 0x8000
        assert newest + ahead not in given_out
        given_out.add(newest + ahead)
        later = (packet.timestamp - newest_timestamp) & 0xFFFF_FFFF
        if ahead > 0:
            assert ahead <= 100  # so that SRTP's roll-over counter follows
            assert later < 2**31
            assert later > 0 or step.kind == "event on"
            newest, newest_timestamp = newest + ahead, packet.timestamp
        else:
            assert step.kind == "packet"
            assert -64 < ahead < 0
            assert later > 2**31
            assert not packet.marker
    assert (outgoing.packets, outgoing.dropped) == (len(given_out), dropped)
