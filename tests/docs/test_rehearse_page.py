"""docs/rehearse.md: its scenarios and commands can be read, and it names every key; the workflow beside it is one."""

import argparse
import re
import shlex
from pathlib import Path

import msgspec
import pytest
import yaml

from bridge.cli.rehearse_arguments import add_arguments
from bridge.rehearse import scenario
from bridge.rehearse.scenario_file import load, parse
from tests.docs.blocks import PROJECT, blocks

PAGE = PROJECT / "docs" / "rehearse.md"
EXAMPLES = PROJECT / "examples" / "rehearse"
RECORDS = [
    each
    for each in vars(scenario).values()
    if isinstance(each, type) and issubclass(each, msgspec.Struct)
]
UNWRITTEN = {"name", "file"}


def test_every_scenario_that_is_shown_can_be_read():
    shown = [block.text for block in blocks(PAGE) if block.language == "toml"]

    assert shown
    for text in shown:
        assert parse(text, Path("shown.toml")).steps


def test_every_scenario_of_the_examples_can_be_read():
    for path in sorted(EXAMPLES.glob("scenarios/*.toml")):
        read = load(path)
        assert len(read.title) > 10, path
        assert read.bot.command.startswith("python examples/rehearse/") or not read.bot.url, path


def test_the_page_names_every_key():
    prose = re.sub(r"^```.*?^```$", "", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", prose))))
    keys = {name for record in RECORDS for name in record.__struct_fields__} - UNWRITTEN

    assert sorted(keys - named) == []


def commands(text):
    """Return the arguments of each command in a text."""
    text = text.replace("media-bridge rehearse", "-m bridge rehearse")
    made = re.findall(r'^make rehearse ARGS="(.*)"$', text, re.MULTILINE)
    return made + re.findall(r"-m bridge rehearse (.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("path", [PAGE, EXAMPLES / "README.md"], ids=lambda path: path.name)
def test_every_command_that_is_shown_has_options_that_there_are(path):
    shown = [block.text for block in blocks(path) if block.language == "sh"]
    found = commands("\n".join(shown))
    parser = argparse.ArgumentParser()
    add_arguments(parser)

    assert found
    for arguments in found:
        for place in parser.parse_args(shlex.split(arguments)).scenarios:
            assert (PROJECT / place).exists() or place.name == "opening-hours.toml"


def test_the_workflow_is_one():
    workflow = yaml.safe_load((EXAMPLES / "workflow.yml").read_text())
    steps = workflow["jobs"]["rehearse"]["steps"]
    run = [step["run"].strip() for step in steps if "run" in step]
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    [arguments] = commands("\n".join(run))
    parsed = parser.parse_args(shlex.split(arguments))

    assert "espeak-ng" in " ".join(run)
    [uploaded] = [
        step["with"]["report_paths"] for step in steps if "report_paths" in step.get("with", {})
    ]
    assert str(parsed.junit) == uploaded
    assert all(step["if"] == "always()" for step in steps[-2:])
