"""How checks are run: beside each other, each with a time limit, none able to end the others."""

import asyncio

import pytest

from bridge.cli.doctor.findings import ok
from bridge.cli.doctor.runner import Check, run_checks
from bridge.errors import SetupError
from bridge.settings.model import Settings
from tests.cli.doctor.surroundings import assert_fails, assert_ok, only, surroundings

pytestmark = pytest.mark.virtual_time


def after(seconds, *findings):
    async def work(_):
        await asyncio.sleep(seconds)
        return findings

    return work


def breaks(error):
    async def work(_):
        raise error

    return work


async def perform(*checks, progress=lambda waiting: None):
    async with surroundings(Settings()) as around:
        return await run_checks(checks, around, progress=progress)


async def test_checks_run_beside_each_other_and_are_reported_in_their_order():
    began = asyncio.get_running_loop().time()
    found = await perform(
        Check("a", after(3, ok("1"))), Check("b", after(1, ok("2", check="of b")))
    )
    assert [finding.check for finding in found] == ["a", "of b"]
    assert asyncio.get_running_loop().time() - began == pytest.approx(3)


async def test_a_check_that_hangs_has_failed():
    found = await perform(Check("slow", after(100), seconds=2), Check("b", after(1, ok("fine"))))
    assert_fails(found[0], "no result within 2 s")
    assert_ok(found[1])


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (SetupError("no libopus"), "no libopus"),
        (OSError(5, "I/O"), "I/O"),
        (KeyError("x"), "KeyErr"),
    ],
)
async def test_a_check_that_breaks_has_failed(error, word):
    assert_fails(only(await perform(Check("a", breaks(error)))), word)


async def test_what_measures_the_cpu_begins_when_the_others_have_ended():
    ended: list[list[str]] = []
    checks = (Check("cpu", after(1), exclusive=True), Check("a", after(2)), Check("b", after(1)))
    await perform(*checks, progress=lambda waiting: ended.append([*waiting]))
    assert ended == [["cpu", "a", "b"], ["cpu", "a"], ["cpu"], []]
