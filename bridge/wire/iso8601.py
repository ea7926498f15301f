"""How a iso8601 is written to customers, in every answer, event and file."""

from datetime import datetime
from typing import overload


@overload
def iso8601(at: datetime) -> str: ...
@overload
def iso8601(at: None) -> None: ...
@overload
def iso8601(at: datetime | None) -> str | None: ...
def iso8601(at: datetime | None) -> str | None:
    """ISO 8601 with milliseconds and `Z`; None for a iso8601 that has not come.

    Args:
        at: In UTC.
    """
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
