"""The SQLite file."""

import pytest

from bridge.db.sqlite import Sqlite
from bridge.errors import DatabaseFailed


def test_a_file_is_made_with_its_folder(tmp_path):
    path = tmp_path / "deep" / "bridge.sqlite3"
    Sqlite(path).open().close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_statement_that_fails_is_a_failure_of_the_database(tmp_path):
    session = Sqlite(tmp_path / "bridge.sqlite3").open()
    with pytest.raises(DatabaseFailed):
        session.execute("SELECT 1 FROM nothing")


def test_what_was_deleted_is_in_neither_file_after_a_checkpoint(tmp_path):
    engine = Sqlite(tmp_path / "bridge.sqlite3")
    session = engine.open()
    session.execute("INSERT INTO recording_deletions (key) VALUES ('secret-name')")
    session.execute("DELETE FROM recording_deletions")
    engine.checkpoint()
    assert b"secret-name" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
