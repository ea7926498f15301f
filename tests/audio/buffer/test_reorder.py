import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from tests.support.packets.opus_source import (
    CELT_2_5,
    CELT_5,
    CELT_10,
    CELT_20,
    CONCEAL,
    DECODE,
    RECOVER,
    SILK_20,
    SILK_20_FEC,
    SILK_40,
    SILK_60,
    Source,
    reordered,
)


@pytest.fixture
def source():
    return Source()


def test_packets_in_order_are_decoded_at_once(source):
    for number in range(5):
        assert source.send(number) == [(DECODE, 320 * number, 320)]


@pytest.mark.parametrize(
    ("sequence", "timestamp"), [(65_534, 100), (10, 0xFFFFFFFF - 1500), (65_534, 0xFFFFFFFF - 1500)]
)
def test_wraps_are_not_noticed(sequence, timestamp):
    source = Source(sequence, timestamp)
    for number in range(6):
        source.send(number)
    assert source.played == [(DECODE, 320 * number, 320) for number in range(6)]
    assert len(source.epochs) == 1


def test_a_loss_over_both_wraps_is_concealed():
    source = Source(65_534, 0xFFFFFFFF - 1500)
    source.send(0)
    source.send(3)
    assert [step.action for step in source.played] == [DECODE, CONCEAL, CONCEAL, DECODE]


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_short_losses_are_concealed_when_the_next_packet_comes(source, lost):
    source.send(0)
    assert source.send(lost + 1) == [
        *[(CONCEAL, 320 * number, 320) for number in range(1, lost + 1)],
        (DECODE, 320 * (lost + 1), 320),
    ]


def test_a_long_loss_is_left_out(source):
    source.send(0)
    assert source.send(7) == [(DECODE, 2240, 320)]
    assert len(source.epochs) == 1


def test_a_burst_of_five_lost_packets_is_made_up(source):
    source.send(0)
    steps = source.send(6)
    assert [step.action for step in steps] == [CONCEAL] * 5 + [DECODE]


def test_the_last_lost_frame_is_recovered_from_fec(source):
    source.send(0, SILK_20)
    assert source.send(3, SILK_20_FEC) == [
        (CONCEAL, 320, 320),
        (RECOVER, 640, 320),
        (DECODE, 960, 320),
    ]


def test_without_fec_in_the_packet_the_frame_is_concealed(source):
    source.send(0, SILK_20)
    assert source.send(2, SILK_20)[0].action is CONCEAL


def test_a_pause_of_the_sender_is_not_a_loss(source):
    source.send(0)
    assert source.send(1, ahead=20 * 960, now=0.42) == [(DECODE, 320 * 21, 320)]
    assert len(source.epochs) == 1


def test_a_packet_lost_in_a_pause_is_not_made_up(source):
    source.send(0)
    assert source.send(2, ahead=20 * 960, now=0.44) == [(DECODE, 320 * 22, 320)]


def test_a_duplicate_is_dropped_and_counted(source):
    source.send(0)
    source.send(1)
    assert source.send(1) == []
    assert source.send(0) == []
    assert source.receiver.late == 2
    assert source.receiver.reordered == 0


def test_a_late_packet_is_dropped_and_counted(source):
    source.send(0)
    source.send(2)
    assert source.send(1) == []
    assert (source.receiver.late, source.receiver.reordered) == (1, 1)


def test_a_restart_drops_and_counts_what_was_held(source):
    reordered(source)
    source.send(4, now=0.080)
    late = source.receiver.late
    source.receiver.restart()
    assert source.receiver.late == late + 1
    assert not source.receiver.holding


def test_after_a_restart_the_count_begins_anew(source):
    source.send(0)
    source.receiver.restart()
    assert source.send(300) == [(DECODE, 0, 320)]
    assert len(source.epochs) == 2


def test_a_stray_sequence_number_is_dropped(source):
    source.send(0)
    assert source.send(20_000) == []
    assert source.send(1) == [(DECODE, 320, 320)]
    assert source.receiver.late == 1


def test_two_packets_of_a_new_sequence_begin_anew(source):
    source.send(0)
    source.send(20_000, now=0.02)
    assert source.send(20_001, now=0.04) == [(DECODE, 0, 320)]
    assert len(source.epochs) == 2


def test_a_timestamp_that_goes_back_begins_a_new_timeline(source):
    source.send(0)
    source.send(1)
    assert source.send(2, ahead=-100_000) == [(DECODE, 0, 320)]
    assert len(source.epochs) == 2


def test_a_timestamp_far_ahead_of_the_clock_begins_a_new_timeline(source):
    source.send(0)
    assert source.send(1, ahead=1_000_000, now=0.02) == [(DECODE, 0, 320)]
    assert len(source.epochs) == 2


def test_a_burst_after_a_stall_stays_on_its_timeline(source):
    source.send(0, now=0.0)
    for number in range(1, 200):
        source.send(number, now=4.0)
    assert [step.pts for step in source.played] == list(range(0, 200 * 320, 320))
    assert len(source.epochs) == 1


@pytest.mark.parametrize(
    ("payload", "samples"),
    [(CELT_2_5, 120), (CELT_5, 240), (CELT_10, 480), (SILK_40, 1920), (SILK_60, 2880)],
)
def test_other_packet_lengths_are_told_apart(payload, samples):
    source = Source(samples=samples)
    source.send(0, payload)
    source.send(1, payload)
    assert source.send(3, payload) == [
        (CONCEAL, 2 * samples // 3, samples // 3),
        (DECODE, samples, samples // 3),
    ]


def test_six_short_packets_are_concealed(source):
    short = Source(samples=480)
    short.send(0, CELT_10)
    assert sum(step.samples for step in short.send(7, CELT_10)) == 7 * 160


def test_the_sender_may_change_its_packet_length(source):
    source.send(0, CELT_20)
    source.send(1, SILK_60)
    # The 60 ms packet covers what three would have.
    assert source.send(2, CELT_20, ahead=2 * 960, now=0.08) == [(DECODE, 1280, 320)]


def test_packets_that_are_not_audio_leave_no_hole(source):
    source.send(0)
    for number in range(1, 8):
        assert source.receiver.skip(source.sequence + number, 0.02 * number) == ()
    assert source.send(8) == [(DECODE, 2560, 320)]


def test_a_skipped_packet_can_be_the_one_waited_for(source):
    reordered(source)
    source.send(4, now=0.080)
    assert source.take(source.receiver.skip(source.sequence + 3, 0.082)) == [(DECODE, 1280, 320)]


def test_a_skipped_packet_after_the_held_one_ends_the_wait(source):
    reordered(source)
    source.send(4, now=0.080)
    steps = source.take(source.receiver.skip(source.sequence + 5, 0.1))
    assert [step.action for step in steps] == [CONCEAL, DECODE]
    assert source.send(6) == [(DECODE, 1920, 320)]


def test_an_old_skipped_packet_changes_nothing(source):
    assert source.receiver.skip(source.sequence - 5, 0.0) == ()
    source.send(0)
    assert source.receiver.skip(source.sequence - 5, 0.01) == ()
    assert source.send(1) == [(DECODE, 320, 320)]


@pytest.mark.parametrize("payload", [b"", b"\xff", b"\xff\x00"])
def test_what_is_no_opus_packet_counts_as_lost(source, payload):
    source.send(0)
    with pytest.raises(RemoteProtocolError):
        source.send(1, payload)
    assert source.send(2) == [(CONCEAL, 320, 320), (DECODE, 640, 320)]


PAYLOADS = [CELT_20, CELT_20, CELT_20, SILK_20_FEC, CELT_10, CELT_2_5, SILK_60]

arrivals = st.lists(
    st.tuples(
        st.one_of(st.integers(-3, 6), st.integers(-70_000, 70_000)),  # step of the number
        st.sampled_from(PAYLOADS),
        st.one_of(st.just(0), st.integers(-3000, 3000), st.integers(-(2**31), 2**31)),
        st.sampled_from([0.0, 0.001, 0.02, 0.02, 0.5]),
        st.sampled_from(["audio"] * 6 + ["skip", "pulse", "restart"]),
    ),
    max_size=60,
)


@given(arrivals, st.integers(0, 65_535), st.integers(0, 2**32 - 1))
def test_whatever_arrives_time_goes_on(packets, sequence, timestamp):
    source = Source(sequence, timestamp)
    number, now = 0, 0.0
    sent = 0
    ends: dict[int, int] = {}
    epochs: list[object] = []
    decoded = 0
    for step_of_number, payload, ahead, pause, kind in packets:
        number += step_of_number
        now += pause
        if kind == "skip":
            steps = source.receiver.skip((sequence + number) & 0xFFFF, now)
        elif kind == "pulse":
            steps = source.receiver.tick(now)
        elif kind == "restart":
            steps = ()
            source.receiver.restart()
        else:
            sent += 1
            steps = source.receiver.receive(
                (sequence + number) & 0xFFFF,
                (timestamp + number * 960 + ahead) & 0xFFFFFFFF,
                payload,
                now,
            )
        for step in steps:
            if not epochs or epochs[-1] is not step.epoch:
                assert step.epoch not in epochs
                epochs.append(step.epoch)
                assert step.pts == 0
            assert step.samples > 0
            assert step.pts >= ends.get(id(step.epoch), 0)
            ends[id(step.epoch)] = step.pts + step.samples
            decoded += step.action is DECODE
    assert sent == decoded + source.receiver.late + source.receiver.holding


@given(
    st.lists(st.booleans(), min_size=2, max_size=80),
    st.integers(0, 65_535),
    st.integers(0, 2**32 - 1),
)
def test_short_losses_leave_one_frame_for_every_20_ms(arrives, sequence, timestamp):
    source = Source(sequence, timestamp)
    source.send(0)
    gap = 0
    last = 0
    for number, there in enumerate(arrives, start=1):
        if there or gap == 3:
            source.send(number)
            gap, last = 0, number
        else:
            gap += 1
    assert [step.pts for step in source.played] == [320 * index for index in range(last + 1)]


@given(st.permutations(range(12)), st.sets(st.integers(0, 11)))
def test_packets_in_any_order_are_each_played_or_counted(order, doubled):
    source = Source()
    numbers = [number for number in order for _ in range(2 if number in doubled else 1)]
    for index, number in enumerate(numbers):
        source.send(number, now=0.02 * index)
    source.take(source.receiver.tick(10.0))
    played = sum(step.action is DECODE for step in source.played)
    assert played + source.receiver.late == len(numbers)
    assert [step.pts for step in source.played] == sorted({step.pts for step in source.played})
