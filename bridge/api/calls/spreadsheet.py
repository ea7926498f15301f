"""CSV that spreadsheets may open (RFC 4180): no cell of it is taken for a formula.

Neither where the reader's list separator is `;` or a tab, so that it finds cells within ours.
"""

import csv
import io
import unicodedata
from collections.abc import Iterable
from typing import Final

CONTENT_TYPE: Final = "text/csv"
_SIGNS: Final = frozenset("=+-@|%")
"""How text begins that a spreadsheet may take for a formula."""
_SEPARATORS: Final = frozenset(";\t\r\n")
"""After which a cell may begin; a comma is within quotation marks."""
_UNSEEN: Final = frozenset({"Cc", "Cf", "Me", "Mn", "Zl", "Zp", "Zs"})
"""Categories of what a spreadsheet may skip before a sign: controls, spaces, marks, what has no width."""
_SKIPPED: Final = frozenset('"\u115f\u1160\u3164\uffa0')
"""What else it may skip: quotation marks, and letters without width."""


def encode(rows: Iterable[Iterable[object]]) -> bytes:
    """Return rows as CSV, all cells in quotation marks; lists are joined by spaces, None is empty."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([_cell(one) for one in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    """Return a value as text; a number in E.164 is without `+`."""
    if value is None:
        return ""
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    if text.startswith("+") and text[1:].isdecimal():
        return text[1:]
    if text.isascii() and _SIGNS.isdisjoint(text):
        return text
    return _without_formulas(text)


def _without_formulas(text: str) -> str:
    """Return text with an apostrophe wherever a cell may begin that could be a formula."""
    written: list[str] = []
    begins, cell = True, 0
    for character in text:
        # Spreadsheets take full-width signs, too.
        plain = unicodedata.normalize("NFKC", character)[:1]
        if begins and plain in _SIGNS:
            written.insert(cell, "'")
        written.append(character)
        if plain in _SEPARATORS:
            begins, cell = True, len(written)
        elif begins:
            begins = unicodedata.category(character) in _UNSEEN or character in _SKIPPED
    return "".join(written)
