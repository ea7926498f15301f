"""From the tables of a settings file to records, with every mistake on the way."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, TypeAlias, cast

import msgspec
from msgspec.inspect import DictType, Field, LiteralType, StructType, Type, UnionType, type_info
from typing_extensions import override

KeyPath: TypeAlias = tuple[str, ...]
"""The names of the tables around a setting, and its own."""

_ALIKE: Final = 0.6
_VERY_ALIKE: Final = 0.75
"""For names of other sections, of which there are many."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A setting that cannot be used."""

    path: KeyPath
    text: str
    name: str = ""
    """What to call it; empty: its path."""

    @override
    def __str__(self) -> str:
        return f"{self.name or dotted(self.path) or 'settings'}: {self.text}"


class TreeReader:
    """Makes a record of a tree of tables, and keeps what was wrong with these."""

    def __init__(self, kind: type[msgspec.Struct], *, page: str = "docs/settings.md") -> None:
        """`page` is where all keys are listed."""
        self._root = cast("StructType", type_info(kind))
        self._page = page
        self.mistakes: list[Mistake] = []

    def read(self, tree: object) -> object | None:
        """Return the record; what cannot be used has its default.

        None where there is no such record: `tree` is no table, or lacks a required setting.
        """
        return self._record(tree, self._root, ())

    def _record(self, table: object, shape: StructType, path: KeyPath) -> object | None:
        if not isinstance(table, dict):
            self.mistakes.append(Mistake(path, "expected a table, got a value"))
            return None
        known = [field.encode_name for field in shape.fields]
        self.mistakes += [
            self._unknown((*path, name), known) for name in table if name not in known
        ]
        kinds = {field.name: field.type for field in msgspec.structs.fields(shape.cls)}
        values: dict[str, object] = {}
        for field in shape.fields:
            at = (*path, field.encode_name)
            if field.encode_name in table:
                found = self._value(table[field.encode_name], field, kinds[field.name], at)
                values |= {} if found is None else {field.name: found}
        required = [field.encode_name for field in shape.fields if field.required]
        self.mistakes += [
            Mistake((*path, name), "required, but missing")
            for name in required
            if name not in table
        ]
        if any(field.required and field.name not in values for field in shape.fields):
            return None
        return shape.cls(**values)

    def _value(self, value: object, field: Field, kind: object, path: KeyPath) -> object | None:
        if record := _record_in(field.type):
            return self._record(value, record, path)
        if isinstance(field.type, DictType) and (record := _record_in(field.type.value_type)):
            return self._records(value, record, path)
        try:
            converted: object = msgspec.convert(value, cast("type[Any]", kind), strict=False)
        except msgspec.ValidationError as error:
            text, _, below = str(error).partition(" - at `$")
            name = dotted(path) + below.removesuffix("`")
            text = f"{text[0].lower()}{text[1:]}"
            if isinstance(field.type, LiteralType):
                choices = ", ".join(repr(one) for one in field.type.values)
                text = f"expected one of {choices}, got {value!r}"
            self.mistakes.append(Mistake(path, text, name))
            return None
        return converted

    def _records(self, table: object, shape: StructType, path: KeyPath) -> dict[str, object] | None:
        if not isinstance(table, dict):
            self.mistakes.append(Mistake(path, "expected a table, got a value"))
            return None
        found = {name: self._record(below, shape, (*path, name)) for name, below in table.items()}
        return {name: record for name, record in found.items() if record is not None}

    def _unknown(self, path: KeyPath, siblings: Sequence[str]) -> Mistake:
        meant = nearest(path, siblings, list(names(self._root)))
        hint = f"did you mean {meant}?" if meant else f"{self._page} lists all"
        return Mistake(path, f"there is no such setting; {hint}")


def dotted(path: Sequence[str]) -> str:
    """Return the name of a setting."""
    return ".".join(path)


def origin(path: KeyPath, variables: Mapping[KeyPath, str]) -> str:
    """Return the variable that has set what stands in a tree; empty if none has."""
    parts = (path[:length] for length in range(len(path), 0, -1))
    return next((variables[part] for part in parts if part in variables), "")


def paths(tree: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of every value and every table in a tree."""
    if isinstance(tree, dict):
        for name, below in tree.items():
            yield (*path, name)
            yield from paths(below, (*path, name))


def names(shape: StructType, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of every setting of a section and of those below it; `NAME` stands for a line's."""
    for field in shape.fields:
        at, kind = (*path, field.encode_name), field.type
        if isinstance(kind, DictType):
            kind, at = kind.value_type, (*at, "NAME")
        record = _record_in(kind)
        if record is None:
            yield at
        else:
            yield from names(record, at)


def nearest(path: KeyPath, siblings: Sequence[str], known: Sequence[KeyPath]) -> str:
    """Return the name of the setting that was probably meant, or nothing.

    Args:
        path: What was written.
        siblings: The names that can stand there.
        known: All settings.
    """
    *tables, name = path
    if alike := get_close_matches(name, siblings, 1, _ALIKE):
        return dotted([*tables, alike[0]])
    namesakes = [dotted(one) for one in known if one[-1] == name]
    if found := get_close_matches(dotted(path), namesakes, 1, 0.0):
        return found[0]
    everywhere = [dotted(one) for one in known]
    return next(iter(get_close_matches(dotted(path), everywhere, 1, _VERY_ALIKE)), "")


def _record_in(kind: Type) -> StructType | None:
    """Return the record of a section, also of one that may be missing."""
    parts = kind.types if isinstance(kind, UnionType) else (kind,)
    return next((one for one in parts if isinstance(one, StructType)), None)
