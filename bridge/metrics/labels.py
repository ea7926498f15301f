"""Labels have a few values that are known beforehand: whatever else comes counts as `OTHER`."""

from typing import Final

OTHER: Final = "other"


def closed(word: str, allowed: tuple[str, ...]) -> str:
    """Give the word if it is allowed, else `OTHER`."""
    return word if word in allowed else OTHER
