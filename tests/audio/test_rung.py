import pytest

from bridge.audio.opus import Application
from bridge.audio.rung import choose, parse_bitrate


@pytest.mark.parametrize(
    ("maximum", "application", "bitrate"),
    [
        (None, Application.LOW_DELAY, 40_000),
        (510_000, Application.LOW_DELAY, 40_000),
        (36_000, Application.LOW_DELAY, 36_000),
        (32_000, Application.LOW_DELAY, 32_000),
        (31_999, Application.VOIP, 31_999),
        (20_000, Application.VOIP, 20_000),
        (1, Application.VOIP, 6_000),
    ],
)
def test_the_far_end_decides_how_much_it_gets(maximum, application, bitrate):
    chosen = choose(maximum)
    assert (chosen.application, chosen.bitrate) == (application, bitrate)


@pytest.mark.parametrize(
    ("text", "bitrate"),
    [("20000", 20_000), ("", None), ("0", None), ("-5", None), ("many", None), ("9" * 5000, None)],
)
def test_a_bit_rate_that_makes_no_sense_is_none(text, bitrate):
    assert parse_bitrate(text) == bitrate
