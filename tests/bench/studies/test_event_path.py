"""The measurement of the events' way to the disk."""

from bridge.db.sqlite import Sqlite
from tests.bench.studies.event_path import run


async def test_every_event_is_measured(tmp_path):
    found = await run("SQLite", Sqlite(tmp_path / "bridge.sqlite3"), seconds=0.3)
    assert len(found.delays) == found.sent > 10
    assert found.commits > 1
