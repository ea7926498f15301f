"""Reading beside the writer; the rest is in tests/db/test_writer.py."""

import asyncio
import threading

import pytest

from bridge.db.readers import MAX_READS, Readers
from bridge.db.sqlite import Sqlite
from bridge.errors import DatabaseFailed


async def test_too_many_readers_are_refused(tmp_path):
    readers, released = Readers(Sqlite(tmp_path / "bridge.sqlite3"), 1), threading.Event()
    queued = [
        asyncio.ensure_future(readers.run(lambda _: released.wait())) for _ in range(MAX_READS)
    ]
    await asyncio.sleep(0)
    with pytest.raises(DatabaseFailed):
        await readers.run(lambda _: None)
    released.set()
    await asyncio.gather(*queued)
    await readers.aclose()


async def test_a_connection_is_kept_for_the_next_reader(tmp_path):
    Sqlite(tmp_path / "bridge.sqlite3").open().close()
    readers = Readers(Sqlite(tmp_path / "bridge.sqlite3"), 2)
    for _ in range(3):
        assert await readers.run(lambda c: c.execute("SELECT 1").fetchall()) == [(1,)]
    assert readers.open == 1
    await readers.aclose()
    assert readers.open == 0
