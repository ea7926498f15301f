import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audio.codec.encoder_level import EncoderLevel
from bridge.call.load import CALM_SECONDS, RELIEF_SECONDS, STRAIN_SECONDS, LoadPolicy

CALM = (0.001, 0.2)
BUSY = (0.007, 0.7)
STRAINED = (0.001, 0.85)
OVERLOADED = (0.001, 0.95)
LATE = (0.030, 0.2)


def after(*looks, overload_seconds=5.0):
    policy = LoadPolicy(overload_seconds=overload_seconds)
    for second, (lag, cpu) in enumerate(looks):
        policy.update(lag=lag, cpu=cpu, now=float(second))
    return policy


def lasting(look, seconds):
    """Looks from the first to the one so many seconds later."""
    return [look] * (int(seconds) + 1)


def test_a_calm_node_keeps_the_normal_level_and_takes_calls():
    policy = after(*[CALM] * 100)
    assert (policy.level, policy.refusing) == (EncoderLevel.NORMAL, False)


@pytest.mark.parametrize("look", [STRAINED, OVERLOADED, LATE, (0.015, 0.1)])
def test_a_strained_node_steps_down(look):
    assert after(*lasting(look, STRAIN_SECONDS)).level is EncoderLevel.REDUCED
    assert after(*lasting(look, STRAIN_SECONDS - 1)).level is EncoderLevel.NORMAL


def test_lasting_strain_raises_the_level_to_the_last_and_no_further():
    assert after(*lasting(STRAINED, 2 * STRAIN_SECONDS)).level is EncoderLevel.MINIMAL
    assert after(*lasting(STRAINED, 100)).level is EncoderLevel.MINIMAL


def test_a_moment_of_relief_begins_the_strain_anew():
    looks = [STRAINED, STRAINED, CALM] * 20
    assert after(*looks).level is EncoderLevel.NORMAL


def test_a_calm_node_returns_one_level_at_a_time():
    down = lasting(STRAINED, 2 * STRAIN_SECONDS)
    assert after(*down, *lasting(CALM, CALM_SECONDS)).level is EncoderLevel.REDUCED
    assert after(*down, *lasting(CALM, 2 * CALM_SECONDS)).level is EncoderLevel.NORMAL


def test_between_strain_and_calm_the_level_stays():
    down = lasting(STRAINED, STRAIN_SECONDS)
    assert after(*down, *[BUSY] * 200).level is EncoderLevel.REDUCED


@pytest.mark.parametrize("look", [OVERLOADED, LATE])
def test_overload_that_lasts_refuses_new_calls(look):
    assert after(*lasting(look, 5)).refusing
    assert not after(*lasting(look, 4)).refusing


def test_strain_alone_refuses_nothing():
    assert not after(*[STRAINED] * 100).refusing


def test_new_calls_are_taken_again_when_the_overload_is_over():
    over = lasting(OVERLOADED, 5)
    assert after(*over, *lasting(STRAINED, RELIEF_SECONDS - 1)).refusing
    assert not after(*over, *lasting(STRAINED, RELIEF_SECONDS)).refusing


def test_with_an_overload_limit_of_0_nothing_is_refused():
    assert not after(*[OVERLOADED] * 100, overload_seconds=0.0).refusing


def test_encoders_step_down_before_calls_are_refused():
    policy = LoadPolicy(overload_seconds=5.0)
    for second in range(6):
        policy.update(lag=0.1, cpu=1.0, now=float(second))
        if policy.refusing:
            assert policy.level > EncoderLevel.NORMAL


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 2)), max_size=100))
def test_the_level_moves_by_one_and_refusal_needs_lasting_overload(looks):
    policy = LoadPolicy(overload_seconds=5.0)
    before, over = policy.level, 0
    for second, (lag, cpu) in enumerate(looks):
        policy.update(lag=lag, cpu=cpu, now=float(second))
        assert abs(policy.level - before) <= 1
        before = policy.level
        was, over = policy.refusing, over + 1 if lag > 0.020 or cpu > 0.90 else 0
        if over >= 6:
            assert was
