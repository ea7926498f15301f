"""Rehearsals as the command runs them, against the example's bot and mutants of it; `make rehearsals` has all."""

import asyncio

import pytest

from tests.bench.studies.rehearsals import REPEATED, against, catch, names
from tests.support.servers.rehearsal_bots import MUTANTS, SCENARIOS, Bot

pytestmark = [pytest.mark.full, pytest.mark.espeak, pytest.mark.pocketsphinx]

SAMPLE = {"ignores interruptions", "swaps keys", "is too quiet", "never hangs up"}


async def test_scenarios_pass_with_a_bot_that_does_all_they_ask():
    run = await against(Bot, [*REPEATED, "hang-up", "question-webrtc"], jobs=3)

    assert {name: each.text for name, each in run.verdicts.items() if not each.passed} == {}
    assert len(run.verdicts) == 7


async def test_a_fault_fails_the_check_that_names_it():
    tried = [mutant for mutant in MUTANTS if mutant.name in SAMPLE]
    limit = asyncio.Semaphore(2)

    async def caught(mutant):
        async with limit:
            return names(mutant, await catch(mutant))

    found = dict(zip(tried, await asyncio.gather(*map(caught, tried)), strict=True))
    assert len(tried) == len(SAMPLE)
    assert [each.name for each, caught in found.items() if not caught] == []


def test_there_are_fifty_scenarios_and_twenty_mutants_of_one_fault_each():
    scenarios = {path.stem for path in SCENARIOS.glob("*.toml")}

    assert len(scenarios) >= 50
    assert len({mutant.name for mutant in MUTANTS}) >= 20
    assert {mutant.scenario for mutant in MUTANTS} <= scenarios
