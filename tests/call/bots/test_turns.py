"""Turns out of what a bot hears and says."""

import msgspec
import numpy as np
import pytest

from bridge.call.bots.turns import MAX_TURNS, TrackerSnapshot, TurnTracker, WaitParts, describe

HISS = np.random.default_rng(1).normal(0, 5, 320)
SPEECH = (HISS + 3000 * np.sin(np.arange(320) * 2 * np.pi * 200 / 16000)).astype("<i2").tobytes()
QUIET = HISS.astype("<i2").tobytes()


def within(at, spans):
    return any(begins <= at + 1e-9 < ends - 1e-9 for begins, ends in spans)


def talk(seconds, caller, bot, *, fillers=(), tracker=None, opened=None):
    """Let both speak in these spans, the bot heard only once it is let in; return the turns, those that the end cuts off included."""
    tracker, found = tracker or TurnTracker(), []
    for number in range(round(seconds / 0.02)):
        at = number * 0.02
        if opened is not None and number == round(opened * 50):
            tracker.opened(at)
        filling = within(at, fillers)
        speaks = SPEECH if within(at, bot) or filling else None
        if (turn := tracker.say(speaks, at, filler=filling)) is not None:
            found.append(turn)
        tracker.hear(SPEECH if within(at, caller) else QUIET, at)
    last = tracker.finish()
    return found if last is None else [*found, last]


def test_a_turn_is_what_the_caller_says_and_the_answer():
    [turn] = talk(8, caller=[(1, 2)], bot=[(2.8, 4)])
    assert (turn.began, turn.ended) == pytest.approx((1, 2), abs=0.006)
    assert (turn.answered, turn.over) == pytest.approx((2.8, 4), abs=0.006)
    assert turn.wait == pytest.approx(0.8, abs=0.012)
    assert (turn.interrupted, turn.overlap, turn.filler) == (False, 0, None)


@pytest.mark.parametrize("passed_at", [1.5, 2.5, 3.5])
def test_a_turn_goes_on_in_another_tracker(passed_at):
    first, then = TurnTracker(), TurnTracker()
    caller, bot = [(1, 2)], [(2.8, 4)]
    tracker, found = first, []
    for number in range(400):
        at = number * 0.02
        if number == round(passed_at * 50):
            data = msgspec.msgpack.encode(first.snapshot())
            then.restore(msgspec.msgpack.decode(data, type=TrackerSnapshot))
            tracker = then
        if (turn := tracker.say(SPEECH if within(at, bot) else None, at)) is not None:
            found.append(turn)
        tracker.hear(SPEECH if within(at, caller) else QUIET, at)
    [turn] = found
    assert (turn.began, turn.ended) == pytest.approx((1, 2), abs=0.021)
    assert (turn.answered, turn.over) == pytest.approx((2.8, 4), abs=0.021)


def test_each_answer_is_a_turn():
    turns = talk(9, caller=[(1, 2), (4, 5)], bot=[(2.2, 3), (6.5, 7)])
    assert [round(turn.wait, 1) for turn in turns] == [0.2, 1.5]


def test_a_greeting_answers_nobody():
    [turn] = talk(6, caller=[(2, 3)], bot=[(0.5, 1.5), (3.5, 4.5)])
    assert turn.ended == pytest.approx(3, abs=0.006)


@pytest.mark.parametrize("before", [(0.5, 1.5), (1.0, 2.95)])
def test_what_is_said_to_a_bot_that_is_held_asks_nothing_of_it(before):
    assert talk(5, caller=[before], bot=[(3.2, 4)], opened=3.0) == []
    [turn] = talk(8, caller=[before, (5, 6)], bot=[(3.2, 4), (6.5, 7)], opened=3.0)
    assert (turn.began, turn.ended) == pytest.approx((5, 6), abs=0.006)


def test_a_caller_who_speaks_while_the_bot_is_opened_waits_from_the_end_of_that():
    [turn] = talk(8, caller=[(2, 4)], bot=[(4.5, 6)], opened=3.0)
    assert turn.wait == pytest.approx(0.5, abs=0.012)


def test_pauses_of_the_caller_belong_to_what_it_says():
    [turn] = talk(6, caller=[(1, 1.5), (2, 2.5)], bot=[(3, 4)])
    assert (turn.began, turn.ended) == pytest.approx((1, 2.5), abs=0.006)


def test_pauses_of_the_bot_belong_to_its_answer():
    [turn] = talk(6, caller=[(1, 2)], bot=[(2.5, 3), (3.4, 4)])
    assert turn.over == pytest.approx(4, abs=0.006)


def test_what_begins_while_the_caller_speaks_is_no_answer():
    assert talk(6, caller=[(1, 3)], bot=[(2, 4)]) == []


def test_a_caller_who_interrupts_waits_for_the_next_answer():
    first, second = talk(9, caller=[(1, 2), (4, 5)], bot=[(2.5, 4.3), (5.6, 7)])
    assert first.interrupted
    assert first.overlap == pytest.approx(0.3, abs=0.012)
    assert second.wait == pytest.approx(0.6, abs=0.012)
    assert not second.interrupted


def test_a_short_word_that_the_bot_stops_for_is_answered():
    turns = talk(9, caller=[(1, 2), (4, 4.3)], bot=[(2.5, 4.5), (6, 7)])
    assert [round(turn.wait, 1) for turn in turns] == [0.5, 1.7]


def test_a_word_that_the_bot_speaks_on_over_is_not_answered():
    [turn] = talk(9, caller=[(1, 2), (4, 4.3)], bot=[(2.5, 5), (5.3, 7)])
    assert turn.overlap == pytest.approx(0.3, abs=0.012)
    assert not turn.interrupted


def test_a_filler_is_no_answer():
    [turn] = talk(9, caller=[(1, 2)], bot=[(5, 6)], fillers=[(3, 3.5)])
    assert turn.wait == pytest.approx(3, abs=0.012)
    assert turn.filler == pytest.approx(3)


def test_a_filler_of_an_earlier_wait_is_forgotten():
    *_, turn = talk(9, caller=[(1, 2), (3.2, 4)], bot=[(5, 6)], fillers=[(2.5, 3)])
    assert turn.filler is None


def test_what_comes_a_minute_late_is_no_answer():
    assert talk(70, caller=[(1, 2)], bot=[(65, 66)]) == []


def test_the_end_cuts_an_answer_off():
    [turn] = talk(3, caller=[(1, 2)], bot=[(2.5, 9)])
    assert turn.over == pytest.approx(3)


def test_a_call_has_so_many_turns_at_most():
    tracker = TurnTracker()
    tracker.turns = MAX_TURNS - 1
    turns = talk(9, caller=[(1, 2), (4, 5)], bot=[(2.5, 3), (5.5, 6)], tracker=tracker)
    assert len(turns) == 1


def test_the_parts_of_a_wait_add_up_to_it():
    [turn] = talk(8, caller=[(1, 2)], bot=[(2.8, 4)], fillers=[(2.4, 2.6)])
    shown = describe(turn, WaitParts(0.02, 0.04, 0.1, True, 0.3), 1_000_000_000.0)
    assert shown["startedAt"] == "2001-09-09T01:46:41.000Z"
    assert shown["waitMs"] == sum(shown["parts"].values()) == pytest.approx(900, abs=12)
    assert shown["filler"] == pytest.approx(500, abs=12)
    assert shown["answerMs"] == pytest.approx(1200, abs=12)


def test_what_only_the_bot_knows_is_its_own_part():
    [turn] = talk(8, caller=[(1, 2)], bot=[(2.8, 4)])
    shown = describe(turn, WaitParts(), 0.0)
    assert shown["parts"] | {"bot": 0} == {
        "endOfSpeech": None, "toBot": 0, "bot": 0, "queue": 0, "toCaller": 0,
    }  # fmt: skip
    assert shown["parts"]["bot"] == shown["waitMs"]
    assert (shown["filler"], shown["tool"]) == (None, None)


def test_functions_are_a_part_of_the_bots_time():
    [turn] = talk(8, caller=[(1, 2)], bot=[(2.8, 4)])
    shown = describe(turn, WaitParts(tool=0.5), 0.0)
    assert (shown["tool"], shown["parts"]["bot"]) == (500, shown["waitMs"])
