"""Reading beside the writer; the rest is in tests/db/test_writer.py."""

import pytest

from bridge.db import readers as database_readers
from bridge.db.readers import Readers
from bridge.db.sqlite import Sqlite
from bridge.errors import DatabaseFailed


async def test_too_many_readers_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(database_readers, "MAX_READS", 0)
    readers = Readers(Sqlite(tmp_path / "bridge.sqlite3"), 1)
    with pytest.raises(DatabaseFailed):
        await readers.run(lambda _: None)
    await readers.aclose()


async def test_a_connection_is_kept_for_the_next_reader(tmp_path):
    Sqlite(tmp_path / "bridge.sqlite3").open().close()
    readers = Readers(Sqlite(tmp_path / "bridge.sqlite3"), 2)
    for _ in range(3):
        assert await readers.run(lambda c: c.execute("SELECT 1").fetchall()) == [(1,)]
    assert readers.open == 1
    await readers.aclose()
    assert readers.open == 0
