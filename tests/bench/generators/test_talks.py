"""When an agent stopped and when it answered."""

import pytest

from bridge.audio.detect.level import level
from tests.bench.generators.talks import LOUD_DBOV, Talked, judge, spoken


def judged(loud, *, began=10.0, ended=10.9, until=11.7):
    result = Talked()
    judge(began, ended, until, loud, result)
    return result


def test_an_agent_stops_with_its_last_loud_packet():
    result = judged([9.96, 9.98, 10.0, 10.02, 10.06, 11.66, 11.68])
    assert result.stops == pytest.approx([0.06])
    assert result.answers == pytest.approx([0.76])


def test_an_agent_that_goes_on_has_not_stopped():
    talking = [10.0 + 0.02 * number for number in range(100)]
    assert judged(talking).stops == []


def test_an_agent_that_had_nothing_to_say_was_not_stopped():
    assert judged([8.0, 11.7]).stops == []


def test_what_belongs_to_the_next_turn_is_no_answer():
    assert judged([10.02, 13.0]).answers == []


@pytest.mark.parametrize("voice", range(3))
def test_words_begin_and_end_loud(voice):
    frames = spoken(voice).reshape(-1, 320)
    assert level(frames[0].tobytes()) >= LOUD_DBOV
    assert level(frames[-1].tobytes()) >= LOUD_DBOV
    assert len(frames) > 25
