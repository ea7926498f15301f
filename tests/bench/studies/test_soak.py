"""The judgement of the soak."""

import math

import numpy as np
import pytest

from tests.bench.studies.soak import Sample, growth, verdict


def samples(
    *, bytes_per_hour=0.0, descriptors=0, threads=0, failed=0, warm=0, noise=0.0, minutes=30
):
    source = np.random.default_rng(1)
    return [
        Sample(
            calls=number * 1000,
            seconds=number * minutes * 60 / 40,
            resident=50_000_000
            + round(bytes_per_hour * number * minutes / 60 / 40)
            + round(source.normal() * noise)
            - (warm if number < 20 else 0),
            descriptors=20 + descriptors * number,
            threads=3 + threads * number,
            failed=failed * number,
        )
        for number in range(40)
    ]


def test_a_flat_server_leaves_nothing_behind():
    assert verdict(samples()) == []


def test_memory_that_grows_is_told_by_the_hour_and_by_the_call():
    found = samples(bytes_per_hour=8e6)
    assert growth(found).slope == pytest.approx(8e6, rel=0.01)
    assert verdict(found) == ["memory grows by 8.0 MB/h, 100 bytes a call"]


def test_less_than_a_megabyte_an_hour_is_flat():
    assert verdict(samples(bytes_per_hour=0.9e6)) == []


def test_a_growth_that_may_be_chance_is_not_told():
    found = growth(samples(bytes_per_hour=1.5e6, noise=300_000, minutes=2))
    assert found.uncertainty > 1e6
    assert verdict(samples(bytes_per_hour=1.5e6, noise=300_000, minutes=2)) == []


def test_nothing_is_certain_of_a_few_samples():
    found = growth(samples()[:5])
    assert (found.slope, found.uncertainty, found.certain) == (0.0, math.inf, 0.0)


def test_what_is_loaded_at_the_beginning_is_not_a_leak():
    assert verdict(samples(warm=20_000_000)) == []


def test_descriptors_and_threads_that_stay_are_told():
    assert verdict(samples(descriptors=1)) == ["39 descriptors are left open"]
    assert verdict(samples(threads=1)) == ["39 threads are left"]


def test_a_rare_call_that_fails_ends_no_soak():
    assert verdict(samples(failed=1)) == []


def test_calls_that_fail_are_told():
    assert verdict(samples(failed=2)) == ["78 of 39000 calls failed"]
