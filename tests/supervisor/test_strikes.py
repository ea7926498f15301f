"""Which calls are accused of the death of a process, and when there are too many deaths."""

import signal

import pytest

from bridge.supervisor.hang_detector import Hang
from bridge.supervisor.kept_calls import KeptCall
from bridge.supervisor.strikes import DEATHS_SECONDS, MAX_DEATHS, Strikes, accused
from bridge.wire.crash_marks import Marks, mark_of
from bridge.wire.supervision import Keep

CRASHES = ["SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT"]
BOTH = Marks(main=7, media=9)


def kept(*call_ids: str) -> list[KeptCall]:
    return [KeptCall(Keep(call_id=one), -1, -1, []) for one in call_ids]


@pytest.mark.parametrize("name", CRASHES)
def test_whatever_a_thread_of_a_process_that_crashed_was_working_on_is_accused(name):
    assert accused(-signal.Signals[name], None, BOTH) == {7, 9}
    assert accused(-signal.Signals[name], None, Marks(media=9)) == {9}


@pytest.mark.parametrize("code", [0, 1, 2, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT])
def test_nothing_is_accused_where_the_process_was_killed_or_has_exited(code):
    assert accused(code, None, BOTH) == set()


def test_a_thread_that_works_on_nothing_accuses_nothing():
    assert accused(-signal.SIGSEGV, None, Marks()) == set()


def test_of_a_process_that_hung_only_the_threads_that_stood_still_count():
    assert accused(-signal.SIGKILL, Hang(media=False), BOTH) == {7}
    assert accused(-signal.SIGKILL, Hang(media=True), BOTH) == {7, 9}


def test_the_calls_that_are_accused_get_a_strike_each_time():
    strikes, calls = Strikes(), kept("poison", "other")
    for _ in range(2):
        assert not strikes.note(0.0, calls, {mark_of("poison"), mark_of("gone")})
    assert [one.strikes for one in calls] == [2, 0]


def test_too_many_deaths_that_gave_a_strike_within_a_minute_are_too_many():
    strikes = Strikes()
    for _ in range(MAX_DEATHS):
        assert not strikes.note(0.0, kept("call"), {mark_of("call")})
    assert strikes.note(DEATHS_SECONDS, kept("call"), {mark_of("call")})
    assert not strikes.note(DEATHS_SECONDS + 1, kept("call"), {mark_of("call")})


def test_deaths_without_a_strike_are_never_too_many():
    strikes = Strikes()
    assert not any(strikes.note(0.0, kept("call"), set()) for _ in range(100))
    assert not any(strikes.note(0.0, kept("call"), {mark_of("gone")}) for _ in range(100))
