"""The study of interruptions, on a sample."""

import numpy as np
import pytest

from bridge.audio.detect.overlap import OverlapKind
from bridge.audio.detect.overlap_model import CLASSES
from tests.bench.studies.overlaps import (
    Result,
    by_language,
    cost,
    fit,
    measure,
    share,
    summary,
)
from tests.support.sound.overlaps import FIGURES, Overlap, corpus

INTERRUPTION, BACKCHANNEL = OverlapKind.INTERRUPTION, OverlapKind.BACKCHANNEL


def result(kind, stopped):
    return Result(Overlap(kind, "de+m2", "ja", b"", b"", 1.0, 1.3), stopped)


def test_an_interruption_counts_that_stops_the_bot_in_time():
    results = [result(INTERRUPTION, stopped) for stopped in (0.2, 0.39, 0.5, None)]
    assert share(results, INTERRUPTION) == 0.5


def test_a_backchannel_counts_whenever_it_stops_the_bot():
    assert share([result(BACKCHANNEL, 0.9), result(BACKCHANNEL, None)], BACKCHANNEL) == 0.5


def test_the_tables_have_a_row_for_each_mode_and_language():
    results = [result(BACKCHANNEL, None), result(INTERRUPTION, 0.3)]
    assert "| `meant` | 0.0% | nan% | 100.0% | 100.0% | 300 / 300 |" in summary({"meant": results})
    assert "| de | 0.0% | 100.0% |" in by_language(results)


@pytest.mark.full
def test_a_fit_tells_classes_apart():
    chance = np.random.default_rng(1)
    classes = np.arange(90) % 3
    rows = chance.normal(0, 0.3, (90, 4))
    rows[np.arange(90), classes] += 2.0
    found = fit(rows, classes).likelihoods(rows)
    assert (found.argmax(axis=1) == classes).mean() > 0.95
    assert found.shape[1] == len(CLASSES)


@pytest.mark.espeak
@pytest.mark.full
def test_most_overlaps_are_told_apart():
    results = measure(corpus(FIGURES, {BACKCHANNEL: 18, INTERRUPTION: 18}, seed=5))
    assert share(results["meant"], BACKCHANNEL) <= 0.2
    assert share(results["meant"], INTERRUPTION) >= 0.8
    assert share(results["any"], BACKCHANNEL) > 0.5


@pytest.mark.espeak
@pytest.mark.full
def test_classifying_costs_little():
    [overlap] = corpus(FIGURES, {BACKCHANNEL: 1}, seed=5)
    assert all(0 < one < 1000 for one in cost(overlap))
