"""A wait that fails says what it waited for."""

import importlib

import pytest

from tests.support.waiting import until, until_answer


async def test_a_condition_that_stays_false_is_shown_with_what_it_saw():
    arrived = ["first"]
    with pytest.raises(TimeoutError) as failed:
        await until(lambda: len(arrived) == 2, timeout=0)
    assert "len(arrived) == 2" in str(failed.value)
    assert "arrived = ['first']" in str(failed.value)


async def test_the_last_answer_is_shown():
    async def asked() -> int:
        return 0

    with pytest.raises(TimeoutError, match="it was 0"):
        await until_answer(asked, timeout=0)


@pytest.mark.parametrize(
    "name", ["support.sound.wav", "cli.doctor.surroundings", "examples.program"]
)
def test_an_assert_of_a_module_that_helps_tests_says_what_it_saw(name):
    spec = importlib.import_module(f"tests.{name}").__spec__
    assert spec is not None
    assert "AssertionRewritingHook" in type(spec.loader).__name__
