"""Objects and their snapshots, whose fields have the names of the objects' attributes, public or private."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, TypeVar

import msgspec

_Made = TypeVar("_Made")
_Restored = TypeVar("_Restored")


def copied(kind: type[_Made], source: object, **changed: object) -> _Made:
    """Return a struct or dataclass with the attributes of an object, but for those that are given.

    A field that the object does not have keeps its default.
    """
    given = {name: _attribute(source, name) for name in _names(kind) if name not in changed}
    found = {name: getattr(source, own) for name, own in given.items() if own}
    return kind(**found, **changed)


def restored(
    target: _Restored, snapshot: msgspec.Struct, *, without: Iterable[str] = ()
) -> _Restored:
    """Set an object's attributes to the fields of a snapshot, and return it."""
    for name in snapshot.__struct_fields__:
        if name not in without:
            own = _attribute(target, name)
            assert own, f"{type(target).__name__} has no {name}"
            setattr(target, own, getattr(snapshot, name))
    return target


def _attribute(owner: object, name: str) -> str:
    """Return the attribute's own name; empty for none."""
    return next((one for one in (f"_{name}", name) if hasattr(owner, one)), "")


def _names(kind: Any) -> Iterable[str]:  # noqa: ANN401
    if issubclass(kind, msgspec.Struct):
        return tuple(kind.__struct_fields__)
    return [one.name for one in fields(kind) if one.init]
