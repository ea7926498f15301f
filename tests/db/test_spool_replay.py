"""What waited in the spool is written in its order; what is refused is named and holds up nothing else."""

import pytest

from bridge.db.spool import Spooled, replay
from bridge.errors import DatabaseFailed
from tests.db.test_writer import insert, written

HANDLERS = {"event": insert}


@pytest.fixture
def session(engine):
    session = engine.open()
    yield session
    session.close()


def spooled(*bodies):
    return [Spooled(number, "event", body) for number, body in enumerate(bodies)]


def read(session):
    session.begin()
    try:
        return written(session)
    finally:
        session.rollback()


def test_payloads_are_written_in_their_order(session):
    assert replay(session, spooled(b"1", b"2", b"3"), HANDLERS) == []
    assert read(session) == ["1", "2", "3"]


def test_one_that_cannot_be_written_holds_up_no_other(session):
    page = spooled(b"1", b"bad", b"3")
    assert replay(session, page, HANDLERS) == [page[1]]
    assert read(session) == ["1", "3"]


def test_a_kind_that_nothing_writes_is_refused(session):
    page = [Spooled(0, "unknown", b"1"), *spooled(b"2")]
    assert replay(session, page, HANDLERS) == [page[0]]
    assert read(session) == ["2"]


def test_a_transaction_that_fails_as_a_whole_is_tried_one_by_one(session):
    def fail_of_two(connection, bodies):
        insert(connection, bodies)
        if len(written(connection)) > 1 and b"2" in bodies:
            raise DatabaseFailed("the transaction is gone")

    page = spooled(b"1", b"2", b"3")
    refused = replay(session, page, {"event": fail_of_two})
    assert refused == [page[1]]
    assert read(session) == ["1", "3"]
