"""CSV that spreadsheets may open (RFC 4180): no cell of it is taken for a formula."""

import csv
import io
import re
from collections.abc import Iterable
from typing import Final

CONTENT_TYPE: Final = "text/csv"
_FORMULA: Final = re.compile(r"\s*[=+\-@|%]|[\t\r\n]")
"""How text begins that a spreadsheet may take for a formula."""


def encode(rows: Iterable[Iterable[object]]) -> bytes:
    """Return rows as CSV; lists are joined by spaces, None is empty."""
    text = io.StringIO()
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    """Return a value as text; a number in E.164 without `+`, what could be a formula after an apostrophe."""
    if value is None:
        return ""
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    if text.startswith("+") and text[1:].isdigit():
        return text[1:]
    return f"'{text}" if _FORMULA.match(text) else text
