"""What is heard in the place of lost packets."""

import numpy as np
import pytest

from bridge.audio.codec.loss_concealment import FADE_SECONDS, LossConcealment

RATES = pytest.mark.parametrize("rate", [8_000, 16_000])


def hum(rate, seconds, pitch=120):
    times = np.arange(round(rate * seconds)) / rate
    wave = np.add.reduce([np.sin(2 * np.pi * k * pitch * times) / k for k in range(1, 12)])
    return (4000 * wave).astype(np.float32)


def pieces(audio, size):
    return [audio[start : start + size] for start in range(0, len(audio) - size + 1, size)]


def heard(concealment, audio, size, lost):
    return [
        concealment.conceal(size) if number in lost else concealment.receive(piece)
        for number, piece in enumerate(pieces(audio, size))
    ]


def level(samples):
    return float(np.sqrt(np.mean(samples**2)))


@RATES
@pytest.mark.parametrize("milliseconds", [10, 20, 30])
def test_a_steady_voice_goes_on_through_a_loss(rate, milliseconds):
    size = rate * milliseconds // 1000
    audio = hum(rate, 0.3)
    lost = 120 // milliseconds
    result = heard(LossConcealment(rate), audio, size, {lost})
    wanted = pieces(audio, size)
    error = result[lost] - wanted[lost]
    assert level(error[: rate // 100]) < 0.1 * level(wanted[lost])
    assert (result[lost - 1] == wanted[lost - 1]).all()
    assert level(result[lost + 1] - wanted[lost + 1]) < 0.3 * level(wanted[lost + 1])
    assert (result[lost + 2] == wanted[lost + 2]).all()


@RATES
def test_a_longer_loss_fades_to_silence(rate):
    size = rate // 50
    result = heard(LossConcealment(rate), hum(rate, 0.4), size, range(8, 14))
    levels = [level(piece) for piece in result[7:14]]
    assert levels[0] > levels[1] > levels[2] > levels[3] > 0
    assert not any(piece.any() for piece in result[8 + round(FADE_SECONDS / 0.02) : 14])


@RATES
def test_no_edge_is_heard_where_a_loss_begins_or_ends(rate):
    audio = hum(rate, 0.4)
    result = np.concatenate(heard(LossConcealment(rate), audio, rate // 50, {5, 9, 10, 15, 16, 17}))
    assert np.abs(np.diff(result)).max() < 1.6 * np.abs(np.diff(audio)).max()


@RATES
def test_noise_is_not_repeated_at_its_full_level_for_ever(rate):
    noise = np.random.default_rng(1).normal(0, 2000, rate).astype(np.float32)
    result = heard(LossConcealment(rate), noise, rate // 50, range(10, 13))
    assert 0.3 < level(result[10]) / level(result[9]) < 1.7
    assert level(result[12]) < 0.5 * level(result[9])


@RATES
def test_silence_before_a_loss_stays_silence(rate):
    concealment = LossConcealment(rate)
    concealment.receive(np.zeros(rate, np.float32))
    assert not concealment.conceal(rate // 50).any()


@RATES
def test_a_loss_without_a_past_is_silence(rate):
    concealment = LossConcealment(rate)
    assert not concealment.conceal(rate // 50).any()
    concealment.receive(hum(rate, 0.02))
    assert len(concealment.conceal(rate // 50)) == rate // 50


def test_a_reset_forgets_the_past():
    concealment = LossConcealment(8000)
    concealment.receive(hum(8000, 0.2))
    concealment.reset()
    assert not concealment.conceal(160).any()


@RATES
def test_what_was_received_is_not_changed(rate):
    concealment = LossConcealment(rate)
    audio = hum(rate, 0.1)
    concealment.receive(audio)
    concealment.conceal(rate // 50)
    following = hum(rate, 0.02)
    before = following.copy()
    concealment.receive(following)
    assert (following == before).all()
