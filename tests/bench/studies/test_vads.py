"""The measuring of voice activity measures what it says."""

import numpy as np
import pytest

from tests.bench.studies.vads import (
    LEAD_SECONDS,
    PAGE,
    SNRS,
    Fooled,
    Heard,
    Way,
    noises_table,
    see,
    utterances,
    voices_table,
    ways,
)
from tests.docs.measured import BELOW
from tests.support.sound.noises import noises

ENERGY = Way("energy", lambda: None)


def test_each_noise_has_the_power_it_is_mixed_with():
    for make in noises().values():
        assert np.mean(make(2.0, 1) ** 2) == pytest.approx(1.0)


def test_an_utterance_says_when_it_begins_and_ends():
    first = next(utterances(None))
    samples = np.frombuffer(first.sound, "<i2").astype(float)
    assert LEAD_SECONDS <= first.begins < LEAD_SECONDS + 0.5
    before = samples[: round((first.begins - 0.02) * 16000)]
    within = samples[round(first.begins * 16000) : round(first.ends * 16000)]
    assert np.std(within) > 50 * np.std(before)


def test_a_way_is_seen_to_start_and_end():
    seen = see(ENERGY, next(utterances(None)).sound, speaking=False)
    assert [moment.value for _, moment in seen.moments][:2] == ["started", "ended"]
    assert seen.microseconds > 0


def test_all_that_can_be_measured_here_is():
    assert ways()[0].name == "energy"


def test_the_tables_have_a_row_for_each_way():
    got = Heard((1, 2), (3, 4), 0.5, (float("nan"), float("nan")), 0.0)
    table = voices_table([(ENERGY, snr, got) for snr in SNRS])
    assert table.count("| energy |") == len(SNRS)
    fooled = {name: Fooled(1, 2, 3.0) for name in noises()}
    assert "| energy | 1 / 2 |" in noises_table([(Way("energy", ENERGY.judge), fooled)])


def test_the_page_has_its_tables():
    text = PAGE.read_text(encoding="utf-8")
    assert "| energy, then Silero |" in text.partition(BELOW)[2]
