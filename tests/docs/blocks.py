"""The code blocks of the documents."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
FENCE = re.compile(
    r"(?P<mark><!-- not run: (?P<why>.*?) -->\n[ ]*)?^(?P<indent>[ ]*)```(?P<language>\w*)\n(?P<text>.*?)^[ ]*```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    text: str
    why_not: str
    """Why it cannot be run here; empty when it can."""


def pages() -> list[Path]:
    """Return every document that people read."""
    found = [
        *PROJECT.glob("*.md"),
        PROJECT / "web" / "README.md",
        *PROJECT.glob("docs/*.md"),
        *PROJECT.glob("deploy/*.md"),
        *PROJECT.glob("examples/*/README.md"),
    ]
    return sorted(page for page in found if page.name != "CHANGELOG.md")


def blocks(page: Path) -> Iterator[Block]:
    """Return the blocks of a page, without the indentation of lists."""
    text = page.read_text()
    for match in FENCE.finditer(text):
        indent = match["indent"]
        lines = [line.removeprefix(indent) for line in match["text"].splitlines(keepends=True)]
        yield Block(
            page.relative_to(PROJECT).as_posix(),
            text.count("\n", 0, match.start("indent")) + 1,
            match["language"],
            "".join(lines),
            match["why"] or "",
        )


def runnable(language: str) -> list[Block]:
    """Return all blocks of a language that are not marked `<!-- not run: why -->`."""
    return [
        block
        for page in pages()
        for block in blocks(page)
        if block.language == language and not block.why_not
    ]
