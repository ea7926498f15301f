"""What stands for values in a statement is numbered for PostgreSQL."""

import pytest

from bridge.db.placeholders import translate


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("SELECT 1", "SELECT 1"),
        ("INSERT INTO a VALUES (?, ?)", "INSERT INTO a VALUES ($1, $2)"),
        ("SELECT ?1 WHERE a = ?1 OR b = ?2", "SELECT $1 WHERE a = $1 OR b = $2"),
        ("SELECT ?2, ?", "SELECT $2, $3"),
        ("SELECT :a, :b, :a", "SELECT $1, $2, $1"),
        ("SELECT a::text, :a", "SELECT a::text, $1"),
        ("SELECT '?', ':a', 'it''s ?', ?", "SELECT '?', ':a', 'it''s ?', $1"),
        ('SELECT "a?b", ?', 'SELECT "a?b", $1'),
        ("SELECT ? -- why?\n, ?", "SELECT $1 -- why?\n, $2"),
    ],
)
def test_values_are_numbered_outside_of_quoted_text_and_comments(statement, wanted):
    assert translate(statement).text == wanted


def test_named_values_are_passed_in_the_order_of_their_numbers():
    assert translate("SELECT :b, :a, :b").order({"a": 1, "b": 2, "c": 3}) == (2, 1)


def test_numbered_values_are_passed_as_they_stand():
    assert translate("SELECT ?2, ?1").order([1, 2]) == (1, 2)
