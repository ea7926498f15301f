"""How a moment is written to customers, in every answer, event and file."""

from datetime import datetime
from typing import overload


@overload
def moment(at: datetime) -> str: ...
@overload
def moment(at: None) -> None: ...
@overload
def moment(at: datetime | None) -> str | None: ...
def moment(at: datetime | None) -> str | None:
    """ISO 8601 with milliseconds and `Z`; None for a moment that has not come.

    Args:
        at: In UTC.
    """
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
