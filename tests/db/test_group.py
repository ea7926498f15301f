"""A group of functions and payloads in one transaction."""

import pytest

from bridge.db.group import Item, Marker, Payload, Work, handle, perform
from bridge.errors import DatabaseFailed, DatabaseLost
from tests.support.databases import in_memory


def keep(connection, payloads):
    connection.executemany(
        "INSERT INTO lines VALUES (?, ?)", [(body.decode(), body) for body in payloads]
    )


def lines(connection):
    return [line for (line,) in connection.execute("SELECT line FROM lines ORDER BY line")]


def nothing(result, error):
    """Report to nobody."""


def test_everything_is_done_in_its_order_and_failures_are_undone_alone():
    group: list[Item] = [
        Payload("line", b"a", nothing),
        Payload("line", b"a", nothing),
        Work(lines, nothing),
        Work(lambda _: 1 // 0, nothing),
        Marker(nothing),
        Payload("line", b"b", nothing),
        Work(lines, nothing),
    ]
    with in_memory() as session:
        session.begin()
        outcomes = perform(session, group, {"line": keep})
        session.commit()
    assert [result for _, result, _ in outcomes] == [
        *(None, None, ["a"], None, None, None),
        ["a", "b"],
    ]
    errors = [type(error).__name__ for _, _, error in outcomes if error is not None]
    assert errors == ["DatabaseFailed", "ZeroDivisionError"]


def test_a_kind_that_nobody_writes_is_a_failure():
    with in_memory() as session:
        [error] = handle(session, "other", [b""], {})
    assert isinstance(error, DatabaseFailed)


def test_a_transaction_that_is_gone_fails_as_a_whole():
    with in_memory() as session:
        session.begin()
        group = [Work(lambda connection: connection.execute("ROLLBACK"), nothing)]
        with pytest.raises(DatabaseFailed):
            perform(session, group, {})


def test_a_lost_database_is_told_as_such():
    def lose(connection):
        connection.rollback()
        raise DatabaseLost("the database cannot be reached")

    with in_memory() as session:
        session.begin()
        with pytest.raises(DatabaseLost, match="cannot be reached"):
            perform(session, [Work(lose, nothing)], {})
