"""The overlaps of a call with a bot, as they are reported."""

import pytest

from bridge.audio.detect.overlap_tracker import Overlap, OverlapTracker
from bridge.call.bots.turns import TurnTracker
from tests.call.bots.test_turns import QUIET, SPEECH, within


def overlaps(seconds, caller, bot, *, finishes=False):
    """Let both speak in these spans; return what is reported."""
    found: list[Overlap] = []
    tracker = TurnTracker()
    tracker.overlaps = OverlapTracker(None, found.append)
    for number in range(round(seconds / 0.02)):
        at = number * 0.02
        tracker.say(SPEECH if within(at, bot) else None, at)
        tracker.hear(SPEECH if within(at, caller) else QUIET, at)
    if finishes:
        tracker.overlaps.finish(seconds)
    return found


def test_an_overlap_is_reported_when_it_is_known_and_when_it_is_over():
    begun, over = overlaps(6, caller=[(3, 3.3)], bot=[(1, 5)])
    assert (begun.over, over.over) == (False, True)
    for one in (begun, over):
        assert one.began == pytest.approx(3, abs=0.021)
    assert (over.seconds, over.both) == pytest.approx((0.3, 0.3), abs=0.041)
    assert not over.stopped


def test_a_bot_that_stops_for_the_caller_was_interrupted():
    [_, over] = overlaps(6, caller=[(3, 5)], bot=[(1, 3.6)])
    assert over.stopped
    assert over.both == pytest.approx(0.6, abs=0.041)


def test_who_answers_does_not_overlap():
    assert overlaps(6, caller=[(1, 2), (4.5, 5)], bot=[(2.5, 4)]) == []


def test_the_end_of_a_call_ends_an_overlap():
    reported = overlaps(3.6, caller=[(3, 4)], bot=[(1, 4)], finishes=True)
    assert [one.over for one in reported] == [False, True]
