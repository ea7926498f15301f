import pytest

from bridge.call.diagnosis.losses import LONG_SECONDS, SHORT_SECONDS, Losses


def lossy(seconds: int, received: int, lost: int) -> Losses:
    losses = Losses()
    for second in range(seconds):
        losses.add(float(second), received, lost)
    return losses


@pytest.mark.parametrize("seconds", [SHORT_SECONDS, LONG_SECONDS])
def test_a_loss_is_the_share_of_the_last_seconds_and_what_it_is_at_least(seconds: float) -> None:
    share, at_least = lossy(30, 40, 10).share(29.0, seconds)
    assert share == pytest.approx(0.2)
    assert 0.1 < at_least < share


def test_too_few_packets_tell_no_loss() -> None:
    assert lossy(1, 24, 25).share(1.0, SHORT_SECONDS) == (0.0, 0.0)


def test_what_is_long_past_counts_no_more() -> None:
    losses = lossy(5, 0, 50)
    for second in range(5, 40):
        losses.add(float(second), 50, 0)
    assert losses.share(39.0, LONG_SECONDS) == (0.0, 0.0)


def test_packets_that_come_late_after_all_are_no_negative_loss() -> None:
    assert lossy(4, 60, -10).share(3.0, SHORT_SECONDS) == (0.0, 0.0)
