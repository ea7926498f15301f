"""Names that clients send: how near an unknown one is to those that are known, and the header that says so."""

from collections.abc import Collection
from difflib import SequenceMatcher
from typing import Final, NamedTuple

from aiohttp import web

from bridge.call.model import LineName

WARNING: Final = "Bridge-Warning"
WARNINGS: Final[web.RequestKey[list[str]]] = web.RequestKey("warnings", list)
"""Warnings for the header of the answer to a request."""
MAX_NAME: Final = 64
"""Characters of a longer name are not looked at."""
MAX_LOGGED: Final = 1000
"""Warnings that are remembered, so that each is logged once a line; beyond it none is logged."""


class Unknown(NamedTuple):
    """An unknown name, and the known one that is nearest to it."""

    name: str
    nearest: str
    edits: int
    """Between the two, where capitals and underscores do not count."""
    field: str = ""
    """The field whose value it is; empty for the name of a field."""

    @property
    def text(self) -> str:
        """What its sender is told; printable ASCII."""
        what = f"{self.field}: unknown name" if self.field else "unknown field"
        return f"{what} {self.name[:MAX_NAME]!a}: the nearest known is {self.nearest}"


def find_nearest(name: str, known: Collection[str], field: str = "") -> Unknown:
    """Return an unknown name with the nearest of those that are known, which are at least one."""
    plain = _plain(name[:MAX_NAME])

    def likeness(one: str) -> tuple[bool, float, int, str]:
        alike = SequenceMatcher(None, plain, _plain(one)).ratio()
        return _edits(plain, _plain(one)) <= 1, alike, -_edits(name[:MAX_NAME], one), one

    nearest = max(known, key=likeness)
    return Unknown(name, nearest, _edits(plain, _plain(nearest)), field)


class WarningLog:
    """Which warnings have been logged for which line."""

    def __init__(self) -> None:
        self._logged: set[tuple[LineName, str]] = set()

    def is_new(self, line: LineName, text: str) -> bool:
        """Whether a warning is to be logged now."""
        known = (line, text) in self._logged or len(self._logged) >= MAX_LOGGED
        self._logged |= set() if known else {(line, text)}
        return not known


def _plain(name: str) -> str:
    return name.replace("_", "").casefold()


def _edits(one: str, other: str) -> int:
    """Return the Levenshtein distance."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]
