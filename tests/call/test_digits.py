"""Collecting digits: what each key, and each silence, leads to."""

import pytest

from bridge.call.digits import DigitCollection, DigitRules, Step


def collecting(*, prompting: bool = False, **rules) -> DigitCollection:
    collection = DigitCollection(DigitRules(**rules))
    collection.begin(0.0, prompting=prompting)
    return collection


def press(collection: DigitCollection, keys: str, now: float = 1.0) -> Step:
    return [collection.pressed(key, now) for key in keys][-1]


def test_the_last_digit_that_is_wanted_ends_it():
    collection = collecting(max_digits=4)
    assert press(collection, "123") is Step.WAIT
    assert press(collection, "4") is Step.COLLECTED
    assert collection.digits == "1234"


def test_a_key_that_ends_the_input_is_no_part_of_it():
    collection = collecting(terminator="#")
    assert press(collection, "12#") is Step.COLLECTED
    assert collection.digits == "12"


def test_silence_ends_an_input_that_is_long_enough():
    collection = collecting(min_digits=2, timeout_seconds=5)
    press(collection, "12", now=3)
    assert collection.time_passed(7.9) is Step.WAIT
    assert collection.time_passed(8.0) is Step.COLLECTED


def test_every_digit_restarts_the_timeout():
    collection = collecting(timeout_seconds=5)
    press(collection, "1", now=4)
    assert collection.deadline == 9


@pytest.mark.parametrize("keys", ["", "1"])
def test_too_few_digits_are_a_failure(keys):
    collection = collecting(min_digits=2, timeout_seconds=5)
    for key in keys:
        collection.pressed(key, 0.0)
    assert collection.time_passed(5.0) is Step.FAILED


def test_an_end_key_after_too_few_digits_is_a_failure():
    assert press(collecting(min_digits=2, terminator="*"), "1*") is Step.FAILED


def test_a_further_attempt_begins_anew():
    collection = collecting(min_digits=2, timeout_seconds=5, attempts=2)
    press(collection, "1", now=0)
    assert collection.time_passed(5.0) is Step.RETRY
    assert collection.deadline is None
    collection.begin(6.0, prompting=False)
    assert press(collection, "7") is Step.WAIT
    assert collection.digits == "7"
    assert collection.time_passed(99.0) is Step.FAILED


def test_no_time_runs_while_the_prompt_is_played():
    collection = collecting(prompting=True)
    assert collection.deadline is None
    collection.prompt_ended(10.0)
    assert collection.deadline == 15.0


def test_a_key_stops_the_prompt_and_counts():
    collection = collecting(prompting=True)
    assert press(collection, "1", now=2) is Step.STOP_PROMPT
    assert (collection.digits, collection.deadline) == ("1", 7)


def test_a_prompt_that_is_played_to_its_end_hears_keys_all_the_same():
    collection = collecting(prompting=True, interrupts=False, max_digits=2)
    assert press(collection, "1") is Step.WAIT
    assert collection.deadline is None
    assert press(collection, "2") is Step.COLLECTED


def test_the_end_of_a_prompt_that_was_stopped_changes_nothing():
    collection = collecting(prompting=True)
    press(collection, "1", now=2)
    collection.prompt_ended(3)
    assert collection.deadline == 7


def test_time_in_which_nobody_listened_does_not_count():
    collection = DigitCollection(DigitRules(timeout_seconds=5.0))
    collection.begin(0.0, prompting=False)
    again = DigitCollection.restore(collection.snapshot(), 7.0)
    assert again.time_passed(11.0) is Step.WAIT
    assert again.time_passed(12.0) is Step.FAILED
    prompting = DigitCollection(DigitRules())
    prompting.begin(0.0, prompting=True)
    assert DigitCollection.restore(prompting.snapshot(), 7.0).deadline is None
