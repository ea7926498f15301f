"""The fields of Meta's JSON, read without trust in their types: what is missing or of another type is empty."""

from collections.abc import Mapping
from typing import Any


def object_in(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object; an empty one for everything else."""
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def objects_in(parent: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the objects in a list; none for everything else."""
    found = parent.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def text_in(parent: Mapping[str, Any], name: str) -> str:
    """Return a string or number as text; "" for everything else."""
    found = parent.get(name)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return ""
    # A lone surrogate is valid JSON but cannot be encoded.
    return str(found).encode("utf-8", "replace").decode()


def number_in(parent: Mapping[str, Any], name: str) -> float:
    """Return a number or numeric string; 0 for everything else."""
    try:
        number = float(text_in(parent, name) or 0)
    except ValueError:
        return 0.0
    return number if abs(number) < 1e15 else 0.0
