"""The calls and rate buckets that all nodes share."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import pytest

from bridge.call.model import CallFacts, CallId, Direction, EndReason, LineName, State
from bridge.call.quota import Quota
from bridge.db.database import wall_time
from bridge.db.postgres import Postgres
from bridge.db.sqlite import Sqlite
from bridge.errors import LimitExceeded, RateLimited
from bridge.stores import directory, lost_nodes, nodes
from bridge.stores.nodes import Member

ONE, TWO = LineName("one"), LineName("two")


def facts(name: str, line: LineName = ONE) -> CallFacts:
    return CallFacts(CallId(name), line, "15550100001", datetime.now(UTC))


def quota(calls: int, per_line: int = 0) -> Quota:
    own = "limits.calls_per_line"
    return Quota("calls", "limits.calls", calls, per_line, line_setting=own)


def in_transaction(session, work, *args, **kwargs):
    session.begin()
    try:
        result = work(session, *args, **kwargs)
    except BaseException:
        session.rollback()
        raise
    session.commit()
    return result


def enter(session, name, line=ONE, node=0, calls=10, per_line=0, boot="a"):
    in_transaction(
        session,
        directory.insert,
        facts(name, line),
        Direction.INBOUND,
        node=node,
        boot=boot,
        quota=quota(calls, per_line),
    )


def find(session, name):
    return directory.find(session, name)


def end(session, name, reason=EndReason.HANGUP, kept_seconds=60.0, per_line=9):
    in_transaction(
        session, directory.end, name, reason, kept_seconds=kept_seconds, per_line=per_line
    )


@pytest.fixture
def session(engine):
    with closing(engine.open()) as opened:
        yield opened


@pytest.fixture
def sibling(engine, session):
    """Another process's connection."""
    with closing(engine.open()) as opened:
        yield opened


def test_a_call_that_one_enters_is_found_by_the_other(session, sibling):
    entered = facts("a")
    options = {"node": 0, "boot": "a", "quota": quota(1)}
    in_transaction(session, directory.insert, entered, Direction.INBOUND, **options)
    found = find(sibling, "a")
    assert (found.facts, found.direction, found.state) == (
        entered,
        Direction.INBOUND,
        State.INITIATED,
    )
    assert found.reason is None


def test_an_unknown_call_is_not_found(session):
    assert find(session, "a") is None


def test_the_limit_holds_over_all_nodes(session, sibling):
    enter(session, "a", calls=2)
    enter(sibling, "b", node=1, calls=2)
    with pytest.raises(LimitExceeded, match=r"limits\.calls\)"):
        enter(session, "c", calls=2)
    assert find(session, "c") is None


def test_the_limit_of_a_line_holds_over_all_nodes_and_leaves_other_lines_alone(session, sibling):
    enter(session, "a", per_line=1)
    with pytest.raises(LimitExceeded, match=r"limits\.calls_per_line"):
        enter(sibling, "b", node=1, per_line=1)
    enter(sibling, "c", TWO, node=1, per_line=1)


@pytest.mark.parametrize("how", ["ended", "leave"])
def test_a_call_that_is_over_makes_room(session, sibling, how):
    enter(session, "a", calls=1)
    if how == "ended":
        end(session, "a")
    else:
        in_transaction(session, directory.delete, "a")
    enter(sibling, "b", calls=1)


def test_an_ended_call_tells_its_reason_and_how_long_it_was(session, sibling):
    enter(session, "a")
    end(session, "a", EndReason.BUSY)
    found = find(sibling, "a")
    assert (found.state, found.reason) == (State.ENDED, EndReason.BUSY)
    assert 0 <= found.seconds < 60


def test_calls_that_ended_too_long_ago_are_dropped(session):
    for name in ("a", "b"):
        enter(session, name)
    end(session, "a")
    end(session, "b", kept_seconds=-1)
    assert find(session, "a") is None


def test_a_lost_node_makes_room_and_its_calls_end_as_node_lost(session, sibling):
    enter(session, "a", node=0, calls=2, boot="lost")
    enter(sibling, "b", node=1, calls=2, boot="alive")
    in_transaction(sibling, nodes.register, Member(node=1, boot="alive"), launch_id="run", now=0.0)
    in_transaction(sibling, lost_nodes.uncount, now=wall_time())
    assert find(sibling, "a").reason is EndReason.NODE_LOST
    assert find(sibling, "b").reason is None
    enter(sibling, "c", node=1, calls=2)


def test_a_node_is_told_of_the_ended_calls_of_its_number(session, sibling):
    for name in ("a", "b"):
        enter(session, name, node=0)
    enter(session, "c", node=1)
    end(session, "a")
    end(session, "c")
    found = in_transaction(sibling, directory.ended, 0)
    assert [record.facts.call_id for record in found] == ["a"]


def test_a_call_that_was_given_up_keeps_its_reason_when_its_node_ends_it_later(session, sibling):
    enter(session, "a", node=0)
    in_transaction(sibling, lost_nodes.uncount, now=wall_time())
    end(session, "a")
    assert find(session, "a").reason is EndReason.NODE_LOST


def test_live_calls_are_counted_by_node(session, sibling):
    for name in ("a", "b"):
        enter(session, name, node=0)
    enter(sibling, "c", node=1)
    end(session, "a")
    assert directory.live_calls(sibling) == {0: 1, 1: 1}


def test_a_bucket_is_shared_and_what_it_refuses_changes_nothing(session, sibling):
    def spend(bucket, now):
        left = 1.0 if bucket is None else bucket[0]
        if left < 1:
            raise RateLimited("empty", retry_after=1)
        return left - 1, now

    in_transaction(session, directory.spend, b"key", spend)
    for other in (session, sibling):
        with pytest.raises(RateLimited):
            in_transaction(other, directory.spend, b"key", spend)
    in_transaction(sibling, directory.spend, b"another key", spend)


def grab(path, node, taken):
    """Take calls until there are no more."""
    count = 0
    with closing(Sqlite(path).open()) as session:
        try:
            while True:
                enter(session, f"{node}-{count}", node=node, calls=30)
                count += 1
        except LimitExceeded:
            taken.put(count)


def test_processes_that_take_calls_at_the_same_time_never_exceed_the_limit(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    taken = spawn.Queue()
    processes = [
        spawn.Process(target=grab, args=(tmp_path / "bridge.sqlite3", node, taken))
        for node in range(3)
    ]
    for process in processes:
        process.start()
    assert sum(taken.get(timeout=60) for _ in processes) == 30
    for process in processes:
        process.join(10)
        assert process.exitcode == 0


def test_a_line_with_too_many_ended_calls_loses_its_own_oldest(session):
    for line, call_id in (("two", "x"), ("one", "a"), ("one", "b"), ("one", "c")):
        enter(session, call_id, line=line)
        end(session, call_id, per_line=2)
    assert [bool(find(session, call_id)) for call_id in "xabc"] == [
        True,
        False,
        True,
        True,
    ]


def count_until_refused(engine, take):
    with closing(engine.open()) as session:
        for count in range(100):
            try:
                take(session, count)
            except (LimitExceeded, RateLimited):
                return count
    raise AssertionError("never refused")


@pytest.mark.postgresql
def test_machines_that_take_calls_at_the_same_time_never_exceed_the_limit(postgres_url):
    def take_all(node):
        def take(session, count):
            enter(session, f"{node}-{count}", node=node, calls=30)

        return count_until_refused(Postgres(postgres_url), take)

    with ThreadPoolExecutor(3) as threads:
        assert sum(threads.map(take_all, range(3))) == 30


@pytest.mark.postgresql
def test_machines_that_spend_at_the_same_time_never_exceed_a_bucket(postgres_url):
    def spend(bucket, now):
        left = 25.0 if bucket is None else bucket[0]
        if left < 1:
            raise RateLimited("empty", retry_after=1)
        return left - 1, now

    def spend_all(_):
        def take(session, count):
            in_transaction(session, directory.spend, b"key", spend)

        return count_until_refused(Postgres(postgres_url, durable=False), take)

    with ThreadPoolExecutor(3) as threads:
        assert sum(threads.map(spend_all, range(3))) == 25
