"""Two hundred good calls: none is said to be broken or degraded, and at most one notice of each."""

import random

import pytest

from bridge.call.diagnosis.diagnosis import Diagnosis, Verdict
from bridge.call.diagnosis.problems import Severity
from tests.call.diagnosis.good_calls import KINDS, SECONDS, seconds_of

OF_EACH = 10


@pytest.mark.parametrize("kind", KINDS)
def test_good_calls_raise_nothing(kind: str) -> None:
    for seed in range(OF_EACH):
        diagnosis = Diagnosis()
        raised = [
            (now, change.problem.code.value)
            for now, seen in seconds_of(KINDS[kind](random.Random(f"{kind} {seed}")))
            for change in diagnosis.observe(seen, now)
            if change.problem.severity > Severity.NOTICE
        ]
        assert raised == [], seed
        assert len(diagnosis.problems) <= 1, seed
        assert diagnosis.verdict(float(SECONDS)) is Verdict.OK


def test_there_are_two_hundred() -> None:
    assert len(KINDS) * OF_EACH >= 200
