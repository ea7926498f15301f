"""The tables of ended calls, beside a plain list of the same calls."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.call.diagnosis.diagnosis import Verdict
from bridge.call.model import CallId, Direction, EndReason, LineName, State
from bridge.call.record.ended_call import CallReport
from bridge.call.record.quality import LegQuality
from bridge.call.record.search import CallSearch
from bridge.call.view import CallView, EndedBy
from bridge.db.postgres import Postgres
from bridge.stores import calls
from bridge.stores.calls import EXAMINED, Cursor, Row
from tests.call.record.test_ended_call import LEG, RECORD, timeline
from tests.support.databases import connected, in_memory
from tests.support.examples import examples

BEGAN = datetime(2030, 1, 1, tzinfo=UTC)
LINES = st.sampled_from(["one", "two"]).map(LineName)
PARTIES = st.sampled_from(["+15550100001", "+15550100002", "Alice"])
CODES = st.sampled_from(["muted", "far_silent", "clipping"])
REASONS = st.sampled_from([EndReason.HANGUP, EndReason.BUSY])
SECONDS = st.integers(0, 5)
SCORES = st.none() | st.sampled_from([1.5, 3.0, 4.2])
TEXTS = st.sampled_from(["", "alice", "0100002", "X", "%", "000"])


def entry(number=0, at=0, line="one", **more) -> CallView:
    values = {
        "direction": Direction.OUTBOUND,
        "reason": EndReason.HANGUP,
        "from_": "+15550109000",
        "to": "+15550100001",
        "tag": "",
        "mos": None,
        "problems": (),
    } | more
    began = BEGAN + timedelta(seconds=at)
    return CallView(
        call_id=CallId(f"{number:032X}"),
        line=LineName(line),
        state=State.ENDED,
        ended_by=EndedBy.NEAR,
        from_channel="whatsapp",
        to_channel="whatsapp",
        identities=(),
        started_at=began,
        answered_at=None,
        ended_at=began + timedelta(seconds=10),
        seconds=10.0,
        verdict=Verdict.OK,
        **values,
    )


ENTRIES = st.lists(
    st.builds(
        entry,
        number=st.integers(0, 30),
        at=SECONDS,
        line=LINES,
        direction=st.sampled_from(Direction),
        reason=REASONS,
        from_=PARTIES,
        to=PARTIES,
        tag=st.sampled_from(["", "X-1"]),
        mos=SCORES,
        problems=st.lists(CODES, max_size=2, unique=True).map(tuple),
    ),
    max_size=20,
    unique_by=lambda one: one.call_id,
)
KEYS = st.sampled_from(["", "15550100001", "15550100002", "alice"])
SEARCHES = st.builds(
    CallSearch,
    line=st.none() | LINES,
    since=st.none() | SECONDS.map(lambda at: BEGAN.timestamp() + at),
    until=st.none() | SECONDS.map(lambda at: BEGAN.timestamp() + at),
    from_=KEYS,
    to=KEYS,
    direction=st.none() | st.sampled_from(Direction),
    reason=st.none() | REASONS,
    problem=st.just("") | CODES,
    max_mos=SCORES,
    text=TEXTS,
)


@pytest.fixture
def connection(engine):
    with connected(engine) as opened:
        yield opened


@pytest.fixture(scope="module")
def postgres_connection(postgres_server):
    with (
        postgres_server.database() as name,
        connected(Postgres(postgres_server.url(name))) as opened,
    ):
        yield opened


def insert(connection, *entries):
    for one in entries:
        calls.insert_all(connection, [Row(one, b"{}", b"{}", b"\x90")])


def found(connection, search, limit=50):
    """All pages of a search."""
    entries: list[CallView] = []
    after = None
    while True:
        page = calls.page(connection, search, after=after, limit=limit)
        assert len(page.found) <= limit
        entries += map(calls.read_entry, page.found)
        if page.next is None:
            return entries
        after = page.next


def check_search(connection, entries, search, limit):
    insert(connection, *entries)
    wanted = sorted(filter(search.matches, entries), key=lambda one: one.key, reverse=True)
    assert found(connection, search, limit) == wanted


@given(ENTRIES, SEARCHES, st.integers(1, 5))
def test_a_search_finds_what_a_plain_list_would(entries, search, limit):
    with in_memory() as connection:
        check_search(connection, entries, search, limit)


@pytest.mark.postgresql
@settings(max_examples=examples(20))
@given(data=st.data())
def test_a_search_on_postgresql_finds_what_a_plain_list_would(postgres_connection, data):
    for table in ("call_records", "call_problems", "call_details"):
        postgres_connection.execute(f"DELETE FROM {table}")
    values = (data.draw(values) for values in (ENTRIES, SEARCHES, st.integers(1, 5)))
    check_search(postgres_connection, *values)


def test_a_call_is_stored_once(connection):
    insert(connection, entry(1, tag="first"), entry(1, tag="second"))
    assert [one.tag for one in found(connection, CallSearch())] == ["first"]


def test_newer_calls_do_not_move_the_next_page(connection):
    insert(connection, entry(1, at=1), entry(2, at=2))
    first = calls.page(connection, CallSearch(), after=None, limit=1)
    insert(connection, entry(3, at=3))
    second = calls.page(connection, CallSearch(), after=first.next, limit=1)
    assert calls.read_entry(second.found[0]).call_id == CallId(f"{1:032X}")


def test_one_transaction_examines_a_bounded_number_of_calls(connection):
    insert(connection, *(entry(number, at=number) for number in range(EXAMINED + 5)))
    page = calls.page(connection, CallSearch(text="nowhere"), after=None, limit=5)
    assert page.found == []
    assert page.next == Cursor(*entry(5, at=5).key)


MANY_CALLS = """
INSERT INTO call_records SELECT 'C' || n, CASE WHEN n % 20 = 0 THEN 'one' ELSE 'two' END, n, n, 'inbound',
CASE WHEN n % 9 = 0 THEN 'busy' ELSE 'hangup' END, CAST(n % 7 AS text), CAST(n % 5 AS text), 4.0,
'words', '' FROM generate_series(1, 20000) AS n
"""
MANY_PROBLEMS = """
INSERT INTO call_problems SELECT 'muted', CASE WHEN n % 20 = 0 THEN 'one' ELSE 'two' END, n, 'C' || n
FROM generate_series(1, 20000) AS n
"""
SEARCHED = [
    (CallSearch(), "call_records_by_age"),
    (CallSearch(line=LineName("one")), "call_records_of_line"),
    (CallSearch(line=LineName("one"), since=1.0, until=2.0), "call_records_of_line"),
    (CallSearch(line=LineName("one"), text="x", max_mos=3.0), "call_records_of_line"),
    (CallSearch(line=LineName("one"), from_="1"), "call_records_from"),
    (CallSearch(line=LineName("one"), from_="1", to="2"), "call_records_from"),
    (CallSearch(line=LineName("one"), to="2"), "call_records_to"),
    (CallSearch(line=LineName("one"), reason=EndReason.BUSY), "call_records_reason"),
    (CallSearch(line=LineName("one"), problem="muted"), "PRIMARY KEY"),
    (CallSearch(problem="muted"), "problems_by_age"),
]


@pytest.mark.parametrize("place", [None, Cursor(1.0, "A")])
@pytest.mark.parametrize(("search", "index"), SEARCHED)
def test_every_search_follows_an_index_in_its_order(search, index, place):
    query, values = calls.page_query(search, place, 50)
    with in_memory() as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    steps = "\n".join(plan)
    assert index in steps
    assert "TEMP B-TREE" not in steps
    assert not re.search(r"SCAN (r|p|call_)\b(?!.*USING)", steps), steps


@pytest.mark.postgresql
def test_postgresql_follows_an_index_in_every_search(postgres_server):
    with postgres_server.database() as name:
        postgres_server.execute(MANY_CALLS, MANY_PROBLEMS, "ANALYZE", database=name)
        with connected(Postgres(postgres_server.url(name))) as connection:
            for search, index in SEARCHED:
                query, values = calls.page_query(search, Cursor(10_000.0, "A"), 50)
                rows = connection.execute(f"EXPLAIN (COSTS OFF) {query}", values).fetchall()
                plan = "\n".join(row[0] for row in rows)
                assert index.replace("PRIMARY KEY", "call_problems_pkey") in plan, plan
                assert "Seq Scan" not in plan, plan


def test_a_call_comes_back_as_it_was_stored(connection):
    report = CallReport(RECORD)
    course = timeline(*[4.0] * 700)
    calls.insert_all(connection, [calls.encode(report, [LegQuality(LEG, 1.0, 0.0, course)])])
    call_id = RECORD.facts.call_id
    assert calls.read_report(connection, call_id=call_id, line="one") == report
    assert calls.read_report(connection, call_id=call_id, line=None) == report
    assert calls.read_report(connection, call_id=call_id, line="two") is None
    [leg] = calls.read_timelines(connection, call_id)
    assert (leg.last, leg.timeline.rows()) == (LEG, course.rows())


def test_a_deleted_call_leaves_no_row(connection):
    insert(connection, entry(1, problems=("muted",)))
    calls.delete(connection, f"{1:032X}")
    for table in ("call_records", "call_problems", "call_details"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_calls_whose_time_has_expired_are_deleted_a_few_at_a_time(connection):
    old = calls.DELETED + 3
    insert(connection, *(entry(number, at=number) for number in range(old + 2)))
    before = BEGAN.timestamp() + 10 + old
    counts = [calls.forget(connection, ended_before=before) for _ in range(3)]
    assert counts == [calls.DELETED, 3, 0]
    assert len(found(connection, CallSearch())) == 2


def test_no_more_calls_than_wanted_are_read_where_an_index_has_all_conditions():
    indexed = CallSearch(line=LineName("one"), to="15550100001", since=1.0)
    assert calls.page_query(indexed, None, 7)[1]["examined"] == 7
    assert calls.page_query(CallSearch(text="x"), None, 7)[1]["examined"] == EXAMINED


def test_records_are_read_by_their_place_in_the_list(connection):
    for number in range(5):
        began = BEGAN + timedelta(seconds=number)
        facts = replace(RECORD.facts, call_id=CallId(f"{number:032X}"), started_at=began)
        calls.insert_all(connection, [calls.encode(CallReport(replace(RECORD, facts=facts)), ())])
    records = calls.read_records(connection, "one", offset=1, limit=2)
    assert [int(one.facts.call_id, 16) for one in records] == [3, 2]
    assert calls.count(connection, "one") == 5
    assert calls.read_records(connection, "two", offset=0, limit=9) == []
