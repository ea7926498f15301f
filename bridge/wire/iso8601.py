"""Times in answers, events and files: as ISO 8601, and for the console as milliseconds."""

from datetime import UTC, datetime
from typing import overload


@overload
def iso8601(at: datetime | float) -> str: ...
@overload
def iso8601(at: None) -> None: ...
@overload
def iso8601(at: datetime | float | None) -> str | None: ...
def iso8601(at: datetime | float | None) -> str | None:
    """Format a UTC or Unix time as ISO 8601 with milliseconds and `Z`."""
    if at is None:
        return None
    time = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix_milliseconds(at: datetime) -> int:
    """Return a time as milliseconds since 1970."""
    return round(at.timestamp() * 1000)
