"""The query of a list of calls."""

import pytest

from bridge.api.calls.query import CallsQuery, cursor_of
from bridge.api.server.fields import read
from bridge.stores.calls import Cursor

NOON = 1_769_860_800.0


@pytest.mark.parametrize(
    "moment",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00",
        "2026-01-31T13:00:00+01:00",
        "2026-01-31T13:00:00 01:00",
        "1769860800",
        "1769860800.0",
    ],
)
def test_a_moment_is_read_in_every_form(moment):
    query = read(CallsQuery, {"since": moment}, strict=False)
    assert query.search(None).since == NOON


def test_the_cursor_names_the_very_place():
    place = Cursor(1769860800.123457, "0" * 31 + "A")
    assert read(CallsQuery, {"cursor": cursor_of(place)}, strict=False).after == place


def test_parties_are_compared_in_one_form():
    query = read(CallsQuery, {"from": "+15550100001", "to": "Alice"}, strict=False)
    assert (query.search(None).from_, query.search(None).to) == ("15550100001", "alice")
