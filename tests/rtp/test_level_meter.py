import numpy as np
import pytest

from bridge.rtp.level_meter import LevelMeter

LOUD = np.full(320, 8000, np.int16).tobytes()


@pytest.fixture
def meter():
    return LevelMeter()


def test_it_starts_silent(meter):
    assert (meter.level_dbov, meter.silent_seconds) == (-127.0, 0.0)


def test_a_frame_is_measured(meter):
    meter.measure(LOUD, 1.0)
    assert meter.level_dbov == pytest.approx(-12.2, abs=0.1)


def test_silence_lasts_until_a_louder_level(meter):
    meter.record(-80.0, 1.0)
    meter.record(-80.0, 3.5)
    assert meter.silent_seconds == 2.5
    meter.record(-20.0, 4.0)
    assert (meter.level_dbov, meter.silent_seconds) == (-20.0, 0.0)


def test_without_packets_silence_counts_from_the_last_one(meter):
    meter.record(-20.0, 1.0)
    meter.expire(1.0, 4.0)
    assert (meter.level_dbov, meter.silent_seconds) == (-127.0, 3.0)


def test_levels_and_measured_frames_are_counted(meter):
    clipping = np.tile(np.array([-32768, 32767], np.int16), 160).tobytes()
    for pcm in (LOUD, clipping, bytes(640)):
        meter.measure(pcm, 1.0)
    meter.record(-80.0, 2.0)
    assert (meter.measured, meter.clipped) == (3, 1)
    assert (meter.levels, meter.quiet) == (4, 2)
