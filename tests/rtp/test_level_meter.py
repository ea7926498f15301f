"""How loud a peer is (bridge.rtp.level_meter)."""

import numpy as np
import pytest

from bridge.rtp.level_meter import LevelMeter

LOUD = np.full(320, 8000, np.int16).tobytes()


@pytest.fixture
def meter():
    return LevelMeter()


def test_before_anything_came_it_is_silent(meter):
    assert (meter.level_dbov, meter.silent_seconds) == (-127.0, 0.0)


def test_a_frame_is_measured(meter):
    meter.measure(LOUD, 1.0)
    assert meter.level_dbov == pytest.approx(-12.2, abs=0.1)


def test_silence_grows_until_something_is_heard(meter):
    meter.note(-80.0, 1.0)
    meter.note(-80.0, 3.5)
    assert meter.silent_seconds == 2.5
    meter.note(-20.0, 4.0)
    assert (meter.level_dbov, meter.silent_seconds) == (-20.0, 0.0)


def test_silence_counts_from_the_last_packet_when_none_comes_any_more(meter):
    meter.note(-20.0, 1.0)
    meter.fall(1.0, 4.0)
    assert (meter.level_dbov, meter.silent_seconds) == (-127.0, 3.0)


def test_it_counts_what_it_looked_at(meter):
    clipping = np.tile(np.array([-32768, 32767], np.int16), 160).tobytes()
    for pcm in (LOUD, clipping, bytes(640)):
        meter.measure(pcm, 1.0)
    meter.note(-80.0, 2.0)
    assert (meter.measured, meter.clipped) == (3, 1)
    assert (meter.noted, meter.quiet) == (4, 2)
