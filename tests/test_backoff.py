"""Delays between attempts."""

from bridge.backoff import Backoff


def test_delays_double_up_to_the_limit():
    backoff = Backoff(1.0, 300.0)
    delays = [backoff.after(failures) for failures in (1, 2, 3, 4, 9, 10, 10_000)]
    assert delays == [1.0, 2.0, 4.0, 8.0, 256.0, 300.0, 300.0]


def test_delays_grow_by_another_factor():
    assert [Backoff(10.0, 3600.0, factor=3.0).after(number) for number in (1, 2, 3, 7)] == [
        10.0,
        30.0,
        90.0,
        3600.0,
    ]


def test_jitter_makes_even_the_longest_delay_longer():
    assert Backoff(1.0, 8.0).after(20, jitter=0.25) == 10.0
