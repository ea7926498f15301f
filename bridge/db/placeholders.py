"""Statements with `?`, `?1` or `:name` for values, as PostgreSQL takes them: with `$1`."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from bridge.db.session import Values

_TOKEN: Final = re.compile(
    r"""
    (?P<other> '[^']*' | "[^"]*" | --[^\n]* | :: )
    | \? (?P<number> \d+ )?
    | : (?P<name> [A-Za-z_]\w* )
    """,
    re.VERBOSE,
)


class Translated(NamedTuple):
    """A statement for PostgreSQL."""

    text: str
    names: tuple[str, ...]
    """The names of its values in order; empty where they are numbered."""

    def order(self, values: Values) -> tuple[object, ...]:
        """Return the values in the order of their numbers."""
        if isinstance(values, Mapping):
            return tuple(values[name] for name in self.names)
        return tuple(values)


def translate(statement: str) -> Translated:
    """Number what stands for values; quoted text and comments stay as they are.

    `?` has the number after the greatest before it, as SQLite counts.
    """
    names: dict[str, int] = {}
    greatest = 0

    def number(token: re.Match[str]) -> str:
        nonlocal greatest
        if token["other"]:
            return token[0]
        if name := token["name"]:
            return f"${names.setdefault(name, len(names) + 1)}"
        found = int(token["number"]) if token["number"] else greatest + 1
        greatest = max(greatest, found)
        return f"${found}"

    return Translated(_TOKEN.sub(number, statement), tuple(names))
