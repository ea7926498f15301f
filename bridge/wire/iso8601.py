"""Timestamps in answers, events and files."""

from datetime import datetime
from typing import overload


@overload
def iso8601(at: datetime) -> str: ...
@overload
def iso8601(at: None) -> None: ...
@overload
def iso8601(at: datetime | None) -> str | None: ...
def iso8601(at: datetime | None) -> str | None:
    """Format a UTC time as ISO 8601 with milliseconds and `Z`."""
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
