"""Five hundred good calls with bots of all kinds: nothing is said to be wrong with any."""

import random

import pytest

from bridge.call.diagnosis.problems import Severity
from bridge.call.model import State
from tests.call.diagnosis.good_bots import KINDS, SECONDS
from tests.call.diagnosis.stub_bot import BotCall

OF_EACH = 20
SAMPLE = 3
QUICK = "barge-in"


def _problems(kind: str, seed: int) -> list[tuple[float, str]]:
    call: BotCall = KINDS[kind](random.Random(f"{kind} {seed}"))
    if kind == "held":
        call.run(8.0)
        call.state = State.HELD
        call.run(8.0)
        call.state = State.ACTIVE
        call.run(8.0)
    else:
        call.run(SECONDS)
    return [
        (at, change.problem.code.value)
        for at, change in call.changes
        if change.problem.severity > Severity.NOTICE
    ]


def test_a_good_call_raises_nothing() -> None:
    assert _problems(QUICK, 0) == []


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_good_calls_raise_nothing(kind: str) -> None:
    for seed in range(SAMPLE):
        assert _problems(kind, seed) == [], seed


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_all_good_calls_raise_nothing(kind: str) -> None:
    for seed in range(OF_EACH):
        assert _problems(kind, seed) == [], seed


def test_there_are_five_hundred() -> None:
    assert len(KINDS) * OF_EACH >= 500
