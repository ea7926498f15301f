import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audio.codec.encoder_level import (
    NORMAL,
    EncoderBudget,
    EncoderLevel,
    choose,
    parse_bitrate,
)
from bridge.audio.codec.opus import Application, Encoder, candidates, load
from bridge.audio.codec.opus_packet import has_fec
from bridge.audio.frame import FRAME_BYTES
from tests.support.sound.voices import words

BITRATES = st.one_of(st.none(), st.integers(0, 600_000))


@pytest.fixture(scope="module")
def opus():
    return load(candidates())


@pytest.mark.parametrize(
    ("maximum", "application", "bitrate"),
    [
        (None, Application.LOW_DELAY, 48_000),
        (510_000, Application.LOW_DELAY, 48_000),
        (44_000, Application.LOW_DELAY, 44_000),
        (40_000, Application.LOW_DELAY, 40_000),
        (39_999, Application.VOIP, 39_999),
        (20_000, Application.VOIP, 20_000),
        (1, Application.VOIP, 6_000),
    ],
)
def test_the_far_end_decides_how_much_it_gets(maximum, application, bitrate):
    chosen = choose(maximum)
    assert (chosen.application, chosen.bitrate) == (application, bitrate)


def test_a_far_end_without_a_limit_gets_more_bits_with_fec():
    assert choose(None, expected_loss=10).bitrate == NORMAL.bitrate + 8_000


@given(BITRATES, st.sampled_from(EncoderLevel), st.integers(0, 40))
def test_no_far_end_gets_more_than_it_asked_for(maximum, level, loss):
    bitrate = choose(maximum, level=level, expected_loss=loss).bitrate
    assert bitrate <= max(6_000, 1_000_000 if maximum is None else maximum)


@pytest.mark.parametrize("level", [EncoderLevel.NORMAL, EncoderLevel.REDUCED])
@pytest.mark.parametrize("maximum", [None, 48_000, 40_000, 32_000, 24_000, 23_999, 20_000])
def test_fec_is_really_in_the_packets(opus, maximum, level):
    settings = choose(maximum, level=level, expected_loss=10)
    assert settings.fec
    assert settings.expected_loss == 10
    encoder, speech = Encoder(opus, settings), words(seconds=4.0).tobytes()
    starts = range(0, len(speech), FRAME_BYTES)
    carrying = [has_fec(encoder.encode(speech[at : at + FRAME_BYTES])) for at in starts]
    # Pauses carry none.
    assert sum(carrying) / len(carrying) > 0.6


def test_the_last_level_has_no_fec():
    assert choose(None, level=EncoderLevel.MINIMAL, expected_loss=30) == NORMAL
    assert not choose(20_000, level=EncoderLevel.MINIMAL, expected_loss=30).fec


@given(BITRATES, st.integers(0, 40))
def test_a_lower_level_is_never_more_complex(maximum, loss):
    chosen = [choose(maximum, level=level, expected_loss=loss) for level in EncoderLevel]
    assert chosen[0].complexity >= chosen[1].complexity >= chosen[2].complexity


def test_a_node_begins_at_the_normal_level():
    assert EncoderBudget().level is EncoderLevel.NORMAL


@pytest.mark.parametrize(
    ("text", "bitrate"),
    [("20000", 20_000), ("", None), ("0", None), ("-5", None), ("many", None), ("9" * 5000, None)],
)
def test_a_bit_rate_that_makes_no_sense_is_none(text, bitrate):
    assert parse_bitrate(text) == bitrate
