"""The study of words, on a sample."""

import numpy as np
import pytest

from tests.bench.studies.words.measure import MAX_LOST, TRANSFER, Measured, measure, report
from tests.bench.studies.words.probe import lost, probe

pytestmark = pytest.mark.virtual_time

RATE = 16_000


def test_a_probe_that_is_heard_whole_has_lost_nothing():
    said = probe(RATE).astype(float)
    assert lost(np.concatenate([np.zeros(999), said, np.zeros(1234)]), RATE) == (0.0, 0.0)


def test_what_is_missing_at_either_end_is_found():
    said = probe(RATE).astype(float)
    first, last = lost(said[round(0.06 * RATE) : -round(0.1 * RATE)], RATE)
    assert first == pytest.approx(0.06, abs=0.0051)
    assert last == pytest.approx(0.1, abs=0.0051)


def test_of_silence_everything_is_missing():
    assert min(lost(np.zeros(RATE), RATE)) > 0.18


def test_the_report_names_the_worst_of_each_kind_and_counts_the_bad_ones():
    text = report([Measured("sip", "agent", 0.0, 0.005), Measured("sip", "agent", 0.0, 0.04)])
    assert "sip          agent            2     0 ms    40 ms" in text
    assert "2 calls: at most 40 ms lost; more than 20 ms in 1" in text


async def test_no_word_is_lost_of_a_bot_that_speaks_at_once():
    found = await measure(1, fars=("simulator",), bots=("native",))
    assert max(one.worst for one in found) <= MAX_LOST, report(found)


@pytest.mark.full
async def test_no_word_is_lost_between_any_two_kinds():
    found = await measure(31)
    assert {one.bot for one in found} >= {"socket", "agent", TRANSFER}
    assert max(one.worst for one in found) <= MAX_LOST + 1e-9, report(found)
