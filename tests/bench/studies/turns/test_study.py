"""The study of turns, on a sample."""

from functools import partial

import numpy as np
import pytest

from bridge.audio.frame import SAMPLE_RATE
from tests.bench.studies.turns.sound import extent
from tests.bench.studies.turns.study import MAX_ERROR, Measured, cost, far_call, measure, report

pytestmark = pytest.mark.virtual_time


def test_the_offline_detector_finds_a_voice_to_five_milliseconds():
    sound = np.random.default_rng(1).normal(0, 30, 2 * SAMPLE_RATE)
    sound[8000:16000] += 2000 * np.sin(np.arange(8000) * 0.1)
    assert extent(sound, 30.0) == pytest.approx((0.5, 1.0), abs=0.0051)


def test_the_report_has_the_errors_in_milliseconds():
    assert "3 turns: error p50 10.0 ms, p95 10.0 ms" in report([Measured(1.0, 1.01)] * 3, "near")


@pytest.mark.full
async def test_turns_tell_what_a_recording_of_both_sides_shows():
    found = await measure(6)
    assert max(abs(one.error) for one in found) <= MAX_ERROR, found


@pytest.mark.full
@pytest.mark.parametrize("peer", [False, True])
async def test_turns_of_a_caller_far_away_tell_what_it_hears(peer):
    found = await measure(2, call=partial(far_call, delay=0.08, peer=peer))
    assert max(abs(one.error) for one in found) <= MAX_ERROR, found


def test_metering_costs_something():
    assert 0 < cost(seconds=2) < 0.1
