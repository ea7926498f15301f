"""What the documents say of the tests is so."""

import re
from pathlib import Path

PROJECT = Path(__file__).parents[1]
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


def linked(document):
    """Return the files that a document's links lead to."""
    return [(document.parent / path).resolve() for path in LINK.findall(document.read_text())]


def test_every_link_within_the_project_leads_to_a_file():
    documents = [*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), *PROJECT.glob("deploy/*.md")]
    dead = [
        f"{document.name}: {path}"
        for document in documents
        for path in linked(document)
        if not path.exists()
    ]
    assert dead == []


def test_every_attack_that_is_tried_is_in_the_security_page():
    named = set(linked(PROJECT / "docs" / "security.md"))
    attacks = set(PROJECT.glob("tests/security/test_*.py"))
    assert sorted(path.name for path in attacks - named) == []
