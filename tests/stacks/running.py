"""Runs checks and turns what comes of them into outcomes."""

import asyncio
import os

import pytest

from tests.stacks.caller import Caller, NotOffered
from tests.stacks.checks import ROWS, STEPS
from tests.stacks.checks_network import Unable
from tests.stacks.clients import CLIENTS
from tests.stacks.results import (
    FAILS,
    VARIABLE,
    Outcome,
    failed,
    judge,
    keep_version,
    not_offered,
)
from tests.stacks.stage import Call, Stage, connected

FAILS_SECONDS = 5.0


async def run_steps(stage: Stage) -> None:
    """Run all that can be checked in one call; a new one begins after what did not work."""
    waiting = list(STEPS)
    while waiting:
        async with connected(stage) as (caller, call):
            while waiting:
                outcome = await _step(stage, waiting.pop(0), caller, call)
                judge(outcome)
                if outcome.result != "works":
                    break
    if VARIABLE in os.environ:
        keep_version(stage.name, CLIENTS[stage.name].version())


async def run_alone(stage: Stage, name: str) -> None:
    """Run a check that makes its own calls."""
    check = ROWS[name].check
    assert check is not None
    try:
        figures = await check(stage)
        outcome = Outcome(stage.name, name, "works", figures=figures or {})
    except NotOffered as error:
        outcome = not_offered(stage.name, name, error)
    except Unable as error:
        pytest.skip(str(error))
    except Exception:
        known = failed(stage.name, name)
        if known is None:
            raise
        outcome = known
    judge(outcome)


async def _step(stage: Stage, name: str, caller: Caller, call: Call) -> Outcome:
    step = ROWS[name].step
    assert step is not None
    try:
        # What is known to fail is not waited for as long as what should work.
        async with asyncio.timeout(FAILS_SECONDS if (stage.name, name) in FAILS else None):
            return Outcome(stage.name, name, "works", figures=await step(caller, call) or {})
    except NotOffered as error:
        return not_offered(stage.name, name, error)
    except Exception:
        known = failed(stage.name, name)
        if known is None:
            raise
        return known
