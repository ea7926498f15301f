"""Closed label sets: any other value is counted as `OTHER`."""

from typing import Final

OTHER: Final = "other"


def closed(word: str, allowed: tuple[str, ...]) -> str:
    """Return `word` if it is allowed, else `OTHER`."""
    return word if word in allowed else OTHER
