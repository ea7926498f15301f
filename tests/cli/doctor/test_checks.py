"""The list of checks."""

import re
from pathlib import Path

from bridge.cli.doctor.checks import CHECKS

DOCUMENT = Path(__file__).parents[3] / "docs" / "operations.md"


def test_every_check_has_a_name_of_its_own():
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)


def test_what_measures_the_cpu_comes_last():
    assert [check.name for check in CHECKS if check.exclusive] == [CHECKS[-1].name]


def test_the_documents_name_every_check():
    section = DOCUMENT.read_text().partition("## Check the set-up")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| `([a-z0-9_]+)`", section, re.MULTILINE))
    missing = {check.name for check in CHECKS} - named
    assert missing == set()
