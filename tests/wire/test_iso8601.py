from datetime import UTC, datetime

from bridge.wire.iso8601 import iso8601, unix_milliseconds


def test_a_time_is_written_in_utc_with_milliseconds() -> None:
    assert iso8601(datetime(2026, 3, 1, 9, 5, 7, 45_999, UTC)) == "2026-03-01T09:05:07.045Z"


def test_a_whole_second_has_its_milliseconds_too() -> None:
    assert iso8601(datetime(2026, 3, 1, 9, 5, 7, tzinfo=UTC)) == "2026-03-01T09:05:07.000Z"


def test_a_moment_that_has_not_come_is_none() -> None:
    assert iso8601(None) is None


def test_a_time_in_milliseconds_is_rounded() -> None:
    assert unix_milliseconds(datetime(1970, 1, 1, 0, 0, 2, 45_999, UTC)) == 2046
