"""Reception statistics (bridge.wire.rtp.reception)."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.wire.rtp.reception import ReceptionStatistics
from bridge.wire.rtp.rtcp import SenderReport, ntp_time


def heard(*sequences: int) -> ReceptionStatistics:
    statistics = ReceptionStatistics(ssrc=9)
    hear(statistics, *sequences)
    return statistics


def highest(statistics: ReceptionStatistics) -> int:
    return statistics.report_block(1.0).highest_sequence


def hear(statistics: ReceptionStatistics, *sequences: int) -> None:
    for sequence in sequences:
        statistics.count(sequence % 65_536, sequence * 960 % 2**32, sequence * 0.02)


def test_a_stream_without_loss_has_lost_nothing() -> None:
    statistics = heard(*range(100, 200))
    block = statistics.report_block(5.0)
    assert (statistics.packets, statistics.lost) == (100, 0)
    assert (block.ssrc, block.packets_lost, block.fraction_lost) == (9, 0, 0)
    assert block.highest_sequence == 199


def test_missing_packets_are_lost() -> None:
    statistics = heard(1, 2, 5, 6)
    assert statistics.lost == 2
    block = statistics.report_block(5.0)
    assert (block.packets_lost, block.fraction_lost) == (2, 2 * 256 // 6)


def test_the_fraction_covers_the_time_since_the_last_block() -> None:
    statistics = heard(1, 2, 5, 6)
    statistics.report_block(1.0)
    hear(statistics, 7, 8, 10)
    second = statistics.report_block(2.0)
    assert (second.packets_lost, second.fraction_lost) == (3, 64)
    assert statistics.report_block(3.0).fraction_lost == 0


def test_a_late_packet_is_not_lost_any_more() -> None:
    statistics = heard(1, 2, 4, 5)
    assert statistics.lost == 1
    hear(statistics, 3)
    assert statistics.lost == 0
    assert highest(statistics) == 5


def test_a_duplicate_makes_up_for_no_loss() -> None:
    statistics = heard(1, 2, 2, 4, 2)
    assert (statistics.lost, statistics.packets) == (1, 5)


def test_duplicates_count_as_received_in_a_report_block() -> None:
    statistics = heard(1, 2, 2, 2)
    assert statistics.report_block(1.0).packets_lost == -2  # RFC 3550 §6.4.1


def test_a_packet_from_before_the_first_one_is_not_expected() -> None:
    statistics = heard(10, 9, 12)
    assert statistics.lost == 1


def test_the_sequence_is_extended_over_its_wraps() -> None:
    statistics = heard(*range(65_500, 65_600), *range(65_601, 65_700))
    assert statistics.lost == 1
    assert statistics.report_block(1.0).highest_sequence == 65_699


def test_reordering_over_the_wrap_is_no_jump() -> None:
    statistics = heard(65_534, 65_536, 65_535, 65_537)
    assert (statistics.lost, highest(statistics)) == (0, 65_537)


def test_one_stray_packet_from_far_away_changes_nothing() -> None:
    statistics = heard(1, 2, 40_000, 3, 4)
    assert (statistics.lost, highest(statistics)) == (0, 4)


def test_two_stray_packets_with_others_between_change_nothing() -> None:
    statistics = heard(1, 2, 40_000, 3, 40_001, 4)
    assert (statistics.lost, highest(statistics)) == (0, 4)


def test_two_packets_in_a_row_from_far_away_are_a_restart() -> None:
    statistics = heard(1, 2, 4, 40_000, 40_001, 40_003)
    assert statistics.lost == 2  # one before the restart, one after it
    block = statistics.report_block(1.0)
    assert (block.highest_sequence, block.packets_lost) == (40_003, 1)


def test_a_long_loss_within_the_window_is_a_loss() -> None:
    statistics = heard(1, 2, 3000)
    assert statistics.lost == 2997


def test_packets_in_even_time_have_no_jitter() -> None:
    assert heard(*range(50)).jitter_seconds == pytest.approx(0, abs=1e-9)


def test_jitter_follows_the_formula_of_the_standard() -> None:
    statistics = ReceptionStatistics(ssrc=9)
    for sequence, arrival in enumerate([0.0, 0.025, 0.04, 0.07]):
        statistics.count(sequence, sequence * 960, arrival)
    expected = 0.0
    for deviation in (0.005, 0.005, 0.010):
        expected += (deviation - expected) / 16
    assert statistics.jitter_seconds == pytest.approx(expected)
    assert statistics.report_block(1.0).jitter == int(expected * 48_000)


def test_a_wrap_of_the_timestamp_is_no_jitter() -> None:
    statistics = ReceptionStatistics(ssrc=9)
    for sequence in range(10):
        timestamp = (2**32 - 3000 + sequence * 960) % 2**32
        statistics.count(sequence, timestamp, sequence * 0.02)
    assert statistics.jitter_seconds == pytest.approx(0, abs=1e-9)


def test_a_jump_of_the_source_s_clock_is_no_jitter() -> None:
    statistics = ReceptionStatistics(ssrc=9)
    for sequence, timestamp in enumerate([0, 960, 2_000_000_000, 2_000_000_960]):
        statistics.count(sequence, timestamp, sequence * 0.02)
    assert statistics.jitter_seconds == pytest.approx(0, abs=1e-9)


def test_late_packets_do_not_count_for_jitter() -> None:
    statistics = heard(1, 2, 4, 5)
    statistics.count(3, 3 * 960, 0.5)
    assert statistics.jitter_seconds == pytest.approx(0, abs=1e-9)


def test_the_last_sender_report_is_echoed_with_its_delay() -> None:
    statistics = heard(1)
    assert statistics.report_block(1.0).last_report == 0
    statistics.sender_report(SenderReport(9, ntp_time(1000.0), 0, 0, 0), 10.0)
    block = statistics.report_block(10.5)
    assert block.last_report == (ntp_time(1000.0) >> 16) & 0xFFFF_FFFF
    assert block.delay == 32_768


def test_before_the_first_packet_the_block_is_empty() -> None:
    block = ReceptionStatistics(ssrc=9).report_block(1.0)
    assert (block.packets_lost, block.fraction_lost, block.highest_sequence) == (0, 0, 0)


@given(
    start=st.integers(0, 65_535),
    lost=st.sets(st.integers(1, 298)),
    swapped=st.sets(st.integers(0, 299)),
    doubled=st.sets(st.integers(0, 299)),
)
def test_loss_is_exact_whatever_the_order(
    start: int, lost: set[int], swapped: set[int], doubled: set[int]
) -> None:
    order: list[int] = []
    for number in sorted(set(range(300)) - lost, key=lambda n: n + 2.5 * (n in swapped and n > 0)):
        order.extend([number] * (1 + (number in doubled)))
    statistics = heard(*(start + number for number in order))
    assert statistics.lost == len(lost)
    assert statistics.packets == len(order)
    assert highest(statistics) == start + 299


@given(st.lists(st.floats(0.0, 8.0), min_size=1, max_size=200), st.sampled_from([480, 960]))
def test_a_run_counts_as_its_packets_one_by_one(gaps: list[float], samples: int) -> None:
    together, single = heard(65_500), heard(65_500)
    begun = 65_500 * 0.02
    arrivals = [begun + sum(gaps[: index + 1]) for index in range(len(gaps))]
    first = 65_501 * 960 % 2**32
    assert together.follows(65_501, first)
    together.count_run(arrivals, first, samples)
    for index, arrival in enumerate(arrivals):
        single.count((65_501 + index) & 0xFFFF, (first + index * samples) % 2**32, arrival)
    assert together.report_block(9.0) == single.report_block(9.0)
    assert together.jitter_seconds == single.jitter_seconds
    hear(together, 65_501 + len(gaps) + 3)
    hear(single, 65_501 + len(gaps) + 3)
    assert (together.lost, together.packets) == (single.lost, single.packets)


@given(st.lists(st.integers(-99, 70), max_size=60))
@example([1] * 100)
def test_what_an_offload_has_received_counts_as_packet_by_packet(advances: list[int]) -> None:
    single, offloaded = heard(65_500, 65_502), heard(65_500, 65_502)
    state: Any = SimpleNamespace()
    newest, sequences = 65_502, []
    for advance in advances:
        sequences.append(newest + advance)
        newest = max(newest, newest + advance)
        hear(single, sequences[-1])
    single.export_state(state)  # what the offload has made of the times
    state.breaks = sum(advance != 1 for advance in advances)
    offloaded.import_state(state, [sequence & 0xFFFF for sequence in sequences])
    assert offloaded.report_block(9.0) == single.report_block(9.0)
    hear(offloaded, newest + 1, newest - 50)
    hear(single, newest + 1, newest - 50)
    assert (offloaded.lost, offloaded.packets) == (single.lost, single.packets)


def test_only_the_very_next_packet_follows() -> None:
    statistics = heard(65_534, 65_535)
    assert statistics.follows(0, 65_536 * 960 % 2**32)
    assert not statistics.follows(1, 65_537 * 960 % 2**32)
    assert not ReceptionStatistics(ssrc=9).follows(0, 960)


def paced(gaps, *, run=False):
    """Statistics of packets of 20 ms that come after these gaps."""
    statistics = ReceptionStatistics(ssrc=1)
    statistics.count(0, 0, 100.0)
    now, arrivals = 100.0, []
    for gap in gaps:
        now += gap
        arrivals.append(now)
    if run:
        statistics.count_run(arrivals, 960, 960)
    else:
        for number, arrival in enumerate(arrivals, 1):
            statistics.count(number, 960 * number, arrival)
    return statistics


@pytest.mark.parametrize("run", [False, True])
def test_packets_that_are_held_back_again_and_again_show_in_the_peak(run):
    bursts = [*[0.02] * 10, 0.22] * 5
    assert paced(bursts).peak_jitter_seconds == pytest.approx(0.2)
    assert paced(bursts).jitter_seconds < 0.03
    assert paced([0.02] * 100, run=run).peak_jitter_seconds == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("later", [0, 40, 90])
def test_one_packet_that_is_held_back_does_not(later):
    once = [*[0.02] * 60, 0.22, *[0.02] * later]
    assert paced(once).peak_jitter_seconds == pytest.approx(0.0, abs=1e-6)
