"""The part of a page that a study measures: all that stands below its last heading."""

from pathlib import Path
from typing import Final

BELOW: Final = "## All figures\n"
"""What stands above this line of a page is written by hand."""


def write_figures(page: Path, written: str) -> None:
    """Put figures in the place of those that a page has."""
    above = page.read_text(encoding="utf-8").partition(BELOW)[0]
    page.write_text(f"{above}{BELOW}\n{written}", encoding="utf-8")
    print(f"wrote {page.relative_to(Path.cwd())}")
