"""What the documents say of the tests is so."""

import ast
import re
from collections import Counter
from pathlib import Path

from bridge.node.streams.fallback import FallbackAction
from bridge.wire.call_event import EventType
from bridge.wire.stream.media_stream import StreamEndReason

PROJECT = Path(__file__).parents[1]
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
NAMED = re.compile(r"\]\(\.\./([^)\s]+\.(?:py|c|js))\)((?:,? `\w+`)*)")
"""A link to a file of code, and the names beside it."""


def linked(document):
    """Return the files that a document's links lead to."""
    return [(document.parent / path).resolve() for path in LINK.findall(document.read_text())]


def test_every_link_within_the_project_leads_to_a_file():
    folders = ("", "docs", "deploy", "examples/*")
    documents = [page for folder in folders for page in PROJECT.glob(f"{folder}/*.md".lstrip("/"))]
    dead = [
        f"{document.name}: {path}"
        for document in documents
        for path in linked(document)
        if not path.exists()
    ]
    assert dead == []


def defined(path):
    """Return the names that a file of Python defines, or the functions of one of C, or those and the classes of JavaScript."""
    text = path.read_text()
    if path.suffix == ".js":
        declared = r"^(?:export )?(?:async )?(?:function|class) (\w+)"
        passed_on = r"^export \{ (\w+) \}"
        return {
            *re.findall(declared, text, re.MULTILINE),
            *re.findall(passed_on, text, re.MULTILINE),
        }
    if path.suffix != ".py":
        return set(re.findall(r"^(?:static |PUBLIC )?\w+ \*?(\w+)\(", text, re.MULTILINE))
    nodes = list(ast.walk(ast.parse(text)))
    made = {
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return made | {node.name for node in nodes if isinstance(node, functions)}


def test_each_file_in_where_to_look_has_what_is_named_beside_it():
    page = (PROJECT / "docs" / "architecture.md").read_text()
    table = page.partition("## Where to look")[2].partition("\n## ")[0]
    links = NAMED.findall(table)
    assert [path for path, names in links if not names] == []
    wrong = [
        f"{path}: {each}"
        for path, names in links
        for each in re.findall(r"\w+", names)
        if each not in defined(PROJECT / path)
    ]
    assert wrong == []
    assert len(links) > 50


def test_every_attack_that_is_tried_is_in_the_security_page():
    named = set(linked(PROJECT / "docs" / "security.md"))
    attacks = set(PROJECT.glob("tests/security/test_*.py"))
    assert sorted(path.name for path in attacks - named) == []


def test_the_table_of_event_types_is_complete():
    page = (PROJECT / "docs" / "webhooks-and-events.md").read_text()
    table = page.partition("## Event types")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([a-z_.]+)`", row)]
    assert sorted(named) == sorted(EventType)


def first_column(page, heading):
    """Return the words in code of the first column of a section's table."""
    text = (PROJECT / "docs" / page).read_text().partition(f"{heading}\n")[2].partition("\n#")[0]
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| `")]
    return sorted(row.strip("`") for row in rows[1:])


def test_the_table_of_the_reasons_of_a_streams_end_is_complete():
    assert first_column("sockets-and-streams.md", "### Why a stream ended") == sorted(
        StreamEndReason
    )


def test_the_table_of_the_fallbacks_of_a_stream_is_complete():
    heading = "## Answer calls straight into your stream server"
    assert first_column("sockets-and-streams.md", heading) == sorted(FallbackAction)


def test_the_comparison_has_the_figures_of_the_readme():
    block = re.compile(r"<!-- bench-summary -->.*<!-- /bench-summary -->", re.DOTALL)
    pages = [PROJECT / "README.md", PROJECT / "docs" / "compare.md"]
    [readme], [compared] = (block.findall(page.read_text()) for page in pages)
    assert compared == readme


def test_the_changelog_says_nothing_twice_and_what_breaks_first():
    unreleased = (PROJECT / "CHANGELOG.md").read_text().split("\n## ")[1]
    entries = unreleased.split("\n- ")[1:]
    assert [entry for entry, times in Counter(entries).items() if times > 1] == []
    breaking = [entry.startswith("**Breaking") for entry in entries]
    assert breaking == sorted(breaking, reverse=True)
