"""A caller's message, step by step."""

import pytest

from bridge.call.voicemail import (
    MAX_GREETING_SECONDS,
    MAX_TONE_SECONDS,
    Finish,
    MessageTaker,
    Phase,
    Step,
    VoicemailRules,
)

RULES = VoicemailRules(max_seconds=60.0, silence_seconds=5.0, min_seconds=1.0)


def recording(rules: VoicemailRules = RULES) -> MessageTaker:
    """Return a message that begins at 10."""
    taker = MessageTaker(rules)
    taker.begin(5.0)
    taker.greeting_ended(9.0)
    assert taker.tone_ended(10.0) is Step.RECORD
    return taker


def test_the_greeting_comes_before_the_tone_and_the_tone_before_the_message():
    taker = MessageTaker(RULES)
    taker.begin(0.0)
    assert taker.greeting_ended(3.0) is Step.TONE
    assert taker.tone_ended(3.5) is Step.RECORD
    assert taker.phase is Phase.MESSAGE


def test_nothing_is_due_before_the_caller_is_there():
    taker = MessageTaker(RULES)
    assert taker.deadline is None
    assert taker.time_passed(1000.0) is Step.WAIT


def test_a_key_skips_the_greeting():
    taker = MessageTaker(RULES)
    taker.begin(0.0)
    assert taker.pressed("5", 1.0) is Step.WAIT
    assert taker.pressed("#", 1.5) is Step.TONE
    assert taker.greeting_ended(2.0) is Step.WAIT


def test_a_greeting_that_hangs_is_cut_off():
    taker = MessageTaker(RULES)
    taker.begin(0.0)
    assert taker.time_passed(MAX_GREETING_SECONDS) is Step.TONE


def test_a_tone_that_is_not_played_does_not_keep_the_caller():
    taker = MessageTaker(RULES)
    taker.begin(0.0)
    taker.greeting_ended(1.0)
    assert taker.time_passed(1.0 + MAX_TONE_SECONDS) is Step.RECORD
    assert taker.tone_ended(7.0) is Step.WAIT


def test_silence_ends_a_message_and_is_not_part_of_what_was_said():
    taker = recording()
    taker.spoke(13.0)
    assert taker.time_passed(15.0) is Step.WAIT
    assert taker.deadline == 18.0
    assert taker.time_passed(18.0) is Step.HANG_UP
    assert (taker.finish, taker.spoken_seconds) == (Finish.SILENCE, 3.0)
    assert taker.is_kept


def test_a_caller_who_says_nothing_leaves_no_message():
    taker = recording()
    assert taker.time_passed(15.0) is Step.HANG_UP
    assert not taker.is_kept


def test_without_a_least_length_even_silence_is_kept():
    taker = recording(VoicemailRules(min_seconds=0.0))
    taker.time_passed(15.0)
    assert taker.is_kept


def test_the_longest_message_ends_in_the_middle_of_a_word():
    taker = recording()
    for second in range(11, 71):
        taker.spoke(float(second))
    assert taker.time_passed(70.0) is Step.HANG_UP
    assert taker.finish is Finish.MAX_LENGTH


def test_without_a_silence_limit_only_the_longest_message_is_a_limit():
    taker = recording(VoicemailRules(max_seconds=60.0, silence_seconds=0.0))
    assert taker.deadline == 70.0


def test_a_key_ends_the_message():
    taker = recording()
    taker.spoke(12.0)
    assert taker.pressed("1", 12.5) is Step.WAIT
    assert taker.pressed("#", 13.0) is Step.HANG_UP
    assert taker.finish is Finish.KEY
    assert taker.deadline is None


def test_a_caller_who_hangs_up_has_left_a_message():
    taker = recording()
    taker.spoke(14.0)
    taker.call_ended()
    assert taker.is_kept
    assert taker.finish is Finish.HANGUP
    assert taker.time_passed(100.0) is Step.WAIT
    assert taker.pressed("#", 100.0) is Step.WAIT


@pytest.mark.parametrize("now", [0.5, 9.5])
def test_what_is_said_before_the_message_does_not_count(now):
    taker = MessageTaker(RULES)
    taker.spoke(now)
    assert taker.spoken_seconds == 0.0


def test_silence_in_which_nobody_listened_ends_no_message():
    taker = MessageTaker(VoicemailRules(silence_seconds=5.0))
    taker.begin(0.0)
    taker.greeting_ended(1.0)
    taker.tone_ended(2.0)
    taker.spoke(4.0)
    again = MessageTaker.restore(taker.snapshot(), 10.0)
    assert again.time_passed(18.0) is Step.WAIT
    assert again.time_passed(19.0) is Step.HANG_UP
    assert again.finish is Finish.SILENCE
