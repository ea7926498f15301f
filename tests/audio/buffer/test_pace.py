"""The pace of a sender with a clock is known after two seconds; of one that sends what it has there is none."""

import random

import pytest

from bridge.audio.buffer.pace import ArrivalPace


def paced(
    ratio: float, seconds: float, *, message: float = 0.02, jitter: float = 0.0
) -> ArrivalPace:
    """Send messages of a length, as often as the ratio says."""
    pace, rng, now = ArrivalPace(), random.Random(1), 0.0
    while now < seconds:
        pace.note(message, now + rng.uniform(0.0, jitter))
        now += message / ratio
    return pace


@pytest.mark.parametrize("ratio", [1 / 3, 0.5, 2 / 3, 1.0, 1.5, 2.0, 3.0])
def test_a_senders_pace_is_found(ratio: float) -> None:
    assert paced(ratio, 3.0).ratio == pytest.approx(ratio, rel=0.01)


def test_jitter_of_the_network_does_not_hide_it() -> None:
    assert paced(0.5, 3.0, jitter=0.03).ratio == pytest.approx(0.5, rel=0.03)


def test_a_short_word_has_no_pace() -> None:
    assert paced(1.0, 1.0).ratio is None


def test_what_comes_at_once_has_no_pace() -> None:
    pace = ArrivalPace()
    for _ in range(200):
        pace.note(0.02, 1.0)
    assert pace.ratio is None


def test_a_sender_that_changes_its_pace_has_none() -> None:
    pace = paced(1.0, 2.0)
    for number in range(60):
        pace.note(0.02, 2.0 + number * 0.005)
    assert pace.ratio is None


def test_after_a_pause_it_is_measured_anew() -> None:
    pace = paced(0.5, 3.0)
    assert pace.is_current(3.5)
    pace.note(0.02, 5.0)
    assert pace.ratio is None
    assert pace.run_seconds == 0.0


def test_a_sender_that_has_stopped_has_no_current_pace() -> None:
    assert not paced(1.0, 3.0).is_current(5.0)
