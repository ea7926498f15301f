"""Beats of a node: what is taken for one, and when there are too few."""

from bridge.supervisor.process import MAX_MISSED, MAX_MISSED_AT_START, Heartbeat


def looks(heartbeat: Heartbeat, pattern: str) -> list[bool]:
    """Look once for each character; a dot is a heartbeat."""
    return [heartbeat.check(heard=one == ".") for one in pattern]


def test_a_node_that_beats_is_sound():
    assert not any(looks(Heartbeat(), "." * 1000))


def test_a_node_that_beats_no_more_is_stuck_after_ten_looks():
    heartbeat = Heartbeat()
    assert not any(looks(heartbeat, "." + " " * (MAX_MISSED - 1)))
    assert looks(heartbeat, " ") == [True]


def test_one_beat_makes_good_for_all_that_were_missed():
    slow = ("." + " " * (MAX_MISSED - 1)) * 100
    assert not any(looks(Heartbeat(), slow))


def test_a_node_has_longer_until_its_first_beat():
    heartbeat = Heartbeat()
    assert not any(looks(heartbeat, " " * (MAX_MISSED_AT_START - 1)))
    assert looks(heartbeat, " ") == [True]
