"""The study of turns, on a sample."""

import numpy as np
import pytest

from bridge.audio.frame import SAMPLE_RATE
from tests.bench.studies.turns import MAX_ERROR, Measured, cost, extent, measure, report

pytestmark = pytest.mark.virtual_time


def test_the_offline_detector_finds_a_voice_to_five_milliseconds():
    sound = np.random.default_rng(1).normal(0, 30, 2 * SAMPLE_RATE)
    sound[8000:16000] += 2000 * np.sin(np.arange(8000) * 0.1)
    assert extent(sound, 30.0) == pytest.approx((0.5, 1.0), abs=0.0051)


def test_the_report_has_the_errors_in_milliseconds():
    assert "p95 10.0 ms" in report([Measured(1.0, 1.01)] * 3, 0.0005)


@pytest.mark.full
async def test_turns_tell_what_a_recording_of_both_sides_shows():
    found = await measure(6)
    assert max(abs(one.error) for one in found) <= MAX_ERROR, found


def test_metering_costs_something():
    assert 0 < cost(seconds=2) < 0.1
