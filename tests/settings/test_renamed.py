"""Settings under their former names: what is read, the warning, and what stands there twice."""

from typing import cast

import pytest
from msgspec.inspect import StructType, type_info

from bridge.settings.model import Settings, read
from bridge.settings.renamed import RENAMED
from bridge.settings.tree import names


@pytest.fixture
def written(tmp_path):
    """Read settings from a file with this text, and from an environment."""

    def reading(text="", **environment):
        path = tmp_path / "bridge.toml"
        path.write_text(text)
        return read({f"BRIDGE_{name}": value for name, value in environment.items()}, path)

    return reading


def test_every_former_name_leads_to_a_setting_and_is_none_itself():
    shape = cast("StructType", type_info(Settings))
    known = set(names(shape))
    assert set(RENAMED.values()) <= known
    assert known.isdisjoint(RENAMED)


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        ("[media]\nrelay = false\n", {}),
        ("", {"MEDIA__RELAY": "false"}),
        ("", {"MEDIA": '{"relay": false}'}),
        ("[media]\nrelay = true\n", {"MEDIA__RELAY": "false"}),
    ],
    ids=["file", "variable", "table", "both"],
)
def test_a_former_name_sets_the_setting(written, text, environment):
    found = written(text, **environment)
    assert (found.settings.media.passthrough, found.problems) == (False, ())


@pytest.mark.parametrize(
    ("text", "environment", "warning"),
    [
        ("[media]\nrelay = false\n", {}, ("media.relay", "media.passthrough")),
        (
            "",
            {"MEDIA__RELAY": "false"},
            ("BRIDGE_MEDIA__RELAY", "BRIDGE_MEDIA__PASSTHROUGH"),
        ),
        (
            "[lines.a]\nkeys = ['k']\n[lines.a.agent]\nnudge = 'Hallo?'\n",
            {},
            ("lines.a.agent.nudge", "lines.a.agent.no_input_prompt"),
        ),
    ],
    ids=["file", "variable", "line"],
)
def test_a_former_name_is_a_warning_that_says_what_to_write(written, text, environment, warning):
    assert written(text, **environment).renamed == (warning,)


def test_the_current_names_are_no_warning(written):
    assert written("[media]\npassthrough = false\n").renamed == ()


def test_both_names_of_a_setting_are_a_mistake_that_names_both(written):
    [problem] = written("[media]\nrelay = false\n", MEDIA__PASSTHROUGH="true").problems
    assert problem.startswith("BRIDGE_MEDIA__PASSTHROUGH: ")
    assert "media.relay" in problem


def test_the_section_of_the_console_has_a_former_name(written, tmp_path):
    (tmp_path / "keys").write_text("the-first-long-key\nthe-second-long-key\n")
    found = written("[operator]\n", OPERATOR__KEYS_FILE=str(tmp_path / "keys"))
    assert found.problems == ()
    assert found.settings.console.keys == ["the-first-long-key", "the-second-long-key"]
    assert found.origins["console", "keys"] == "BRIDGE_OPERATOR__KEYS_FILE"
    assert found.renamed == (("BRIDGE_OPERATOR__KEYS_FILE", "BRIDGE_CONSOLE__KEYS_FILE"),)


def test_an_unknown_setting_of_the_former_section_is_a_mistake(written):
    [problem] = written("[operator]\nkeyz = []\n").problems
    assert problem.startswith("operator")


@pytest.mark.parametrize("text", ["media = 1\n", "console = 1\n[operator]\nkeys = ['k']\n"])
def test_a_value_in_place_of_a_section_is_a_mistake(written, text):
    assert "expected a table, got a value" in str(written(text).problems)
