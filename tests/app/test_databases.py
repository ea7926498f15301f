"""The settings choose the database."""

from pathlib import Path

from bridge.app.databases import engine_of
from bridge.db.postgres import Postgres
from bridge.db.sqlite import FILE, Sqlite
from bridge.settings.model import Data


def test_without_a_url_it_is_a_file_below_the_data_folder():
    assert engine_of(Data(dir="/x")) == Sqlite(Path("/x") / FILE)


def test_a_url_names_a_server_and_its_time_limit():
    found = engine_of(Data(url="postgresql://db/x", statement_seconds=3))
    assert found == Postgres("postgresql://db/x", 3)
