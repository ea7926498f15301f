"""The tables are written for every engine."""

import re
from pathlib import Path

import pytest

import bridge
from bridge.db.migrations import WORDS, statements
from bridge.db.schema import MIGRATIONS


@pytest.mark.parametrize("dialect", WORDS)
def test_no_word_in_braces_is_left(dialect):
    for script in MIGRATIONS:
        for statement in statements(script, dialect):
            assert "{" not in statement


def test_an_engine_knows_the_words_of_the_others():
    assert len({frozenset(words) for words in WORDS.values()}) == 1


def test_texts_are_compared_by_their_bytes_in_every_engine():
    for script in MIGRATIONS:
        assert not re.search(r"\bTEXT\b", script), "write {text}"


ONE_ENGINE_ONLY = (
    r"INSERT OR |REPLACE INTO|json_each|sqlite_sequence|sqlite_master| GLOB | IFNULL\("
)


def test_statements_are_written_in_what_the_engines_have_in_common():
    root = Path(bridge.__file__).parent
    own = {root / "db/sqlite.py", root / "db/postgres.py", root / "cli/doctor/database.py"} | {
        root / "db/table_copy.py"
    }
    for path in {*root.rglob("*.py")} - own:
        assert not re.search(ONE_ENGINE_ONLY, path.read_text()), path
