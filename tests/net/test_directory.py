"""The file that all nodes share."""

import multiprocessing
from datetime import UTC, datetime

import pytest

from bridge.call.model import CallFacts, CallId, Direction, EndReason, LineName, State
from bridge.call.quota import Quota
from bridge.errors import LimitExceeded, RateLimited
from bridge.net.directory import FILE, DirectoryFile

ONE, TWO = LineName("one"), LineName("two")


def facts(name: str, line: LineName = ONE) -> CallFacts:
    return CallFacts(CallId(name), line, "15550100001", datetime.now(UTC))


def quota(calls: int, per_line: int = 0) -> Quota:
    own = "limits.calls_per_line"
    return Quota("calls", "limits.calls", calls, per_line, line_setting=own)


def enter(file, name, line=ONE, node=0, calls=10, per_line=0):
    file.insert(facts(name, line), Direction.INBOUND, node, quota=quota(calls, per_line))


@pytest.fixture
def file(tmp_path):
    opened = DirectoryFile(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def sibling(file, tmp_path):
    """Another process's hold of the same file."""
    opened = DirectoryFile(tmp_path)
    yield opened
    opened.close()


def test_a_call_that_one_enters_is_found_by_the_other(file, sibling):
    entered = facts("a")
    file.insert(entered, Direction.INBOUND, 0, quota=quota(1))
    found = sibling.find("a")
    assert (found.facts, found.direction, found.state) == (
        entered,
        Direction.INBOUND,
        State.INITIATED,
    )
    assert found.reason is None


def test_an_unknown_call_is_not_found(file):
    assert file.find("a") is None


def test_the_limit_holds_over_all_nodes(file, sibling):
    enter(file, "a", calls=2)
    enter(sibling, "b", node=1, calls=2)
    with pytest.raises(LimitExceeded, match=r"limits\.calls\)"):
        enter(file, "c", calls=2)
    assert file.find("c") is None


def test_the_limit_of_a_line_holds_over_all_nodes_and_leaves_other_lines_alone(file, sibling):
    enter(file, "a", per_line=1)
    with pytest.raises(LimitExceeded, match=r"limits\.calls_per_line"):
        enter(sibling, "b", node=1, per_line=1)
    enter(sibling, "c", TWO, node=1, per_line=1)


@pytest.mark.parametrize("how", ["ended", "leave"])
def test_a_call_that_is_over_makes_room(file, sibling, how):
    enter(file, "a", calls=1)
    if how == "ended":
        file.end(CallId("a"), EndReason.HANGUP, kept_seconds=60, per_line=9)
    else:
        file.delete(CallId("a"))
    enter(sibling, "b", calls=1)


def test_an_ended_call_tells_its_reason_and_how_long_it_was(file, sibling):
    enter(file, "a")
    file.end(CallId("a"), EndReason.BUSY, kept_seconds=60, per_line=9)
    found = sibling.find("a")
    assert (found.state, found.reason) == (State.ENDED, EndReason.BUSY)
    assert 0 <= found.seconds < 60


def test_calls_that_ended_too_long_ago_are_dropped(file):
    for name in ("a", "b"):
        enter(file, name)
    file.end(CallId("a"), EndReason.HANGUP, kept_seconds=60, per_line=9)
    file.end(CallId("b"), EndReason.HANGUP, kept_seconds=-1, per_line=9)
    assert file.find("a") is None


def test_a_lost_node_makes_room_and_its_calls_end_as_node_lost(file, sibling):
    enter(file, "a", node=0, calls=2)
    enter(sibling, "b", node=1, calls=2)
    assert sibling.end_live(0) == 1
    assert sibling.find("a").reason is EndReason.NODE_LOST
    assert sibling.find("b").reason is None
    enter(sibling, "c", node=1, calls=2)


def test_a_first_start_ends_what_the_last_bridge_left(file, sibling):
    enter(file, "a", node=0)
    enter(file, "b", node=7)
    assert sibling.end_live() == 2


def test_a_node_takes_over_what_its_forerunner_left_and_is_told_of_lost_calls_once(file, sibling):
    for name in ("a", "b"):
        enter(file, name, node=0)
    enter(file, "c", node=1)
    file.end(CallId("a"), EndReason.HANGUP, kept_seconds=60, per_line=9)
    kept, cut_off = sibling.recover(0)
    assert [record.facts.call_id for record in kept] == ["a"]
    assert [record.facts.call_id for record in cut_off] == ["b"]
    kept, cut_off = sibling.recover(0)
    assert [record.facts.call_id for record in kept] == ["a", "b"]
    assert cut_off == []
    assert sibling.find("c").reason is None


def test_a_call_that_was_given_up_keeps_its_reason_when_its_node_ends_it_later(file, sibling):
    enter(file, "a", node=0)
    sibling.end_live(0)
    file.end(CallId("a"), EndReason.HANGUP, kept_seconds=60, per_line=9)
    assert file.find("a").reason is EndReason.NODE_LOST


def test_live_calls_are_counted_by_node(file, sibling):
    for name in ("a", "b"):
        enter(file, name, node=0)
    enter(sibling, "c", node=1)
    file.end(CallId("a"), EndReason.HANGUP, kept_seconds=60, per_line=9)
    assert sibling.live_calls() == {0: 1, 1: 1}


def test_a_bucket_is_shared_and_what_it_refuses_changes_nothing(file, sibling):
    def spend(bucket, now):
        left = 1.0 if bucket is None else bucket[0]
        if left < 1:
            raise RateLimited("empty", retry_after=1)
        return left - 1, now

    file.spend(b"key", spend)
    for other in (file, sibling):
        with pytest.raises(RateLimited):
            other.spend(b"key", spend)
    sibling.spend(b"another key", spend)


def test_only_its_owner_can_read_the_file(file, tmp_path):
    enter(file, "a")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob(f"{FILE}*")}
    assert set(modes.values()) == {0o600}


def grab(folder, node, taken):
    """Take calls until there are no more."""
    file = DirectoryFile(folder)
    count = 0
    try:
        while True:
            enter(file, f"{node}-{count}", node=node, calls=30)
            count += 1
    except LimitExceeded:
        taken.put(count)
    file.close()


def test_processes_that_take_calls_at_the_same_time_never_exceed_the_limit(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    taken = spawn.Queue()
    processes = [spawn.Process(target=grab, args=(tmp_path, node, taken)) for node in range(3)]
    for process in processes:
        process.start()
    assert sum(taken.get(timeout=60) for _ in processes) == 30
    for process in processes:
        process.join(10)
        assert process.exitcode == 0


def test_a_line_with_too_many_ended_calls_loses_its_own_oldest(file):
    for line, call_id in (("two", "x"), ("one", "a"), ("one", "b"), ("one", "c")):
        enter(file, call_id, line=line)
        file.end(CallId(call_id), EndReason.HANGUP, kept_seconds=60, per_line=2)
    assert [bool(file.find(call_id)) for call_id in "xabc"] == [True, False, True, True]
