"""What every engine shares."""

from bridge.db.session import Found, marks


def test_found_rows_are_read_once():
    found = Found([(1,), (2,), (3,)], 3)
    assert found.fetchone() == (1,)
    assert found.fetchall() == [(2,), (3,)]
    assert found.fetchone() is None
    assert found.rowcount == 3


def test_an_empty_list_equals_nothing():
    assert (marks([1, 2]), marks([])) == ("(?, ?)", "(NULL)")
