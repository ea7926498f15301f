"""Waiting for packets that come late: only where reordering was seen, and never long."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.packets.opus_source import CONCEAL, DECODE, Source, reordered


@pytest.fixture
def source():
    return Source()


def test_after_reordering_a_gap_is_waited_for(source):
    reordered(source)
    assert source.send(4, now=0.080) == []
    assert source.receiver.holding
    assert source.send(3, now=0.082) == [(DECODE, 960, 320), (DECODE, 1280, 320)]
    assert not source.receiver.holding
    assert source.receiver.reordered == 2


def test_the_wait_ends_with_the_next_packet(source):
    reordered(source)
    source.send(4, now=0.080)
    assert source.send(5, now=0.088) == [
        (CONCEAL, 960, 320),
        (DECODE, 1280, 320),
        (DECODE, 1600, 320),
    ]


def test_the_wait_ends_after_10_ms(source):
    reordered(source)
    source.send(4, now=0.080)
    assert source.take(source.receiver.tick(0.087)) == []
    assert source.take(source.receiver.tick(0.090)) == [(CONCEAL, 960, 320), (DECODE, 1280, 320)]
    assert source.receiver.tick(0.2) == ()


def test_a_duplicate_of_the_held_packet_is_dropped(source):
    reordered(source)
    source.send(4, now=0.080)
    assert source.send(4, now=0.081) == []
    assert source.receiver.holding
    assert source.receiver.late == 2


def test_a_missing_packet_that_leaves_another_hole_ends_the_wait(source):
    reordered(source)
    source.send(5, now=0.100)
    assert [step.action for step in source.send(4, now=0.102)] == [CONCEAL, DECODE, DECODE]


def test_reordering_is_forgotten_after_ten_seconds(source):
    reordered(source)
    for number in range(3, 510):
        source.send(number)
    assert source.send(511) != []


def test_a_long_gap_is_not_waited_for(source):
    assert reordered(source).send(9) == [(DECODE, 2880, 320)]


def test_a_packet_that_need_not_wait_is_played_at_once(source):
    reordered(source)
    source.receiver.holds = False
    assert source.send(4, now=0.080) == [(CONCEAL, 960, 320), (DECODE, 1280, 320)]
    assert source.send(3, now=0.082) == []
    assert (source.receiver.late, source.receiver.reordered) == (2, 2)


@given(st.lists(st.integers(-100, 150), max_size=60))
@example([0] * 20)
def test_what_an_offload_has_received_is_late_and_reordered_as_packet_by_packet(distances):
    single, offloaded = reordered(Source()), reordered(Source())
    single.receiver.holds = False
    following, numbers = 3, []
    for distance in distances:
        numbers.append(following + distance)
        following = max(following, numbers[-1] + 1)
        single.send(numbers[-1], now=0.02 * following)
    sequence, timestamp, position, _ = single.receiver.expected()
    state: Any = SimpleNamespace(
        sequence=sequence, timestamp=timestamp, position=position, accepted_at=single.receiver.arrival,
        breaks=sum(distance != 0 for distance in distances),
    )  # fmt: skip
    arrivals = [0.02 * (1 + max([2, *numbers[: index + 1]])) for index in range(len(numbers))]
    sequences = [(offloaded.sequence + number) & 0xFFFF for number in numbers]
    offloaded.receiver.import_state(state, sequences, arrivals)
    for receiver in (single.receiver, offloaded.receiver):
        receiver.holds = True
    for number in (following, following - 50, following + 2, following + 1):
        assert single.send(number) == offloaded.send(number)
    for count in ("late", "reordered"):
        assert getattr(offloaded.receiver, count) == getattr(single.receiver, count)
