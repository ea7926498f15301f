"""Work that must not be lost with the database."""

from bridge.db.sqlite import Sqlite
from bridge.errors import DatabaseLost
from tests.support.databases import open_database


async def test_work_is_done_again_until_the_database_is_not_lost_meanwhile(tmp_path):
    database = open_database(Sqlite(tmp_path / "bridge.sqlite3"))
    outcomes = [DatabaseLost("gone"), DatabaseLost("gone"), None]

    async def work():
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome

    await database.retry(work, pause=0.001)
    assert outcomes == []
    await database.aclose()
