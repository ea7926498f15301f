"""Tests of reading tables as records: every mistake is found, and what was meant."""

import pytest
from msgspec.inspect import type_info

from bridge.settings.model import Settings
from bridge.settings.tree import TreeReader, names, nearest, paths


def mistakes(tree):
    reader = TreeReader(Settings)
    reader.read(tree)
    return [str(mistake) for mistake in reader.mistakes]


def test_every_mistake_is_found_and_the_rest_is_read():
    reader = TreeReader(Settings)
    settings = reader.read({"nodes": -1, "http": {"port": "many", "host": "::1"}, "log": 3})
    assert isinstance(settings, Settings)
    assert (settings.nodes, settings.http.host, settings.http.port) == (1, "::1", 8080)
    assert [".".join(one.path) for one in reader.mistakes] == ["nodes", "http.port", "log"]


def test_a_line_without_what_it_needs_is_left_out_and_the_others_are_read():
    reader = TreeReader(Settings)
    settings = reader.read({"lines": {"a": {"numbers": []}, "b": {"keys": ["k"]}}})
    assert isinstance(settings, Settings)
    assert list(settings.lines) == ["b"]
    assert [str(one) for one in reader.mistakes] == ["lines.a.keys: required, but missing"]


def test_a_value_that_is_no_choice_is_named_with_the_choices():
    [text] = mistakes({"lines": {"a": {"keys": ["k"], "stream": {"fallback": "announce"}}}})
    assert text == (
        "lines.a.stream.fallback: expected one of 'agent', 'announcement', 'hangup', got 'announce'"
    )


def test_a_mistake_within_a_list_is_named_with_its_place():
    assert mistakes({"rtc": {"bind": ["10.0.0.7", 1]}})[0].startswith("rtc.bind[1]: expected")


@pytest.mark.parametrize(
    ("tree", "meant"),
    [
        ({"http": {"prot": 1}}, "http.port"),
        ({"htpp": {"port": 1}}, "http"),
        ({"http": {"calls_per_line": 1}}, "limits.calls_per_line"),
        (
            {"lines": {"a": {"keys": ["k"], "sip": {"trunk": "", "pasword": ""}}}},
            "lines.a.sip.password",
        ),
        ({"turn": {"servers": [{"urls": [], "username": "", "credentials": ""}]}}, ""),
    ],
)
def test_an_unknown_setting_is_named_with_the_one_that_was_meant(tree, meant):
    [text] = mistakes(tree)
    assert (f"did you mean {meant}?" in text) == bool(meant)


def test_nothing_is_suggested_for_what_resembles_nothing():
    [text] = mistakes({"http": {"xyzzy": 1}})
    assert text == "http.xyzzy: there is no such setting; docs/settings.md lists all"


def test_the_nearest_name_stands_in_the_same_table_if_one_does():
    known = [("a", "port"), ("b", "ports")]
    assert nearest(("a", "ports"), ["port"], known) == "a.port"
    assert nearest(("a", "ports"), ["host"], known) == "b.ports"


def test_every_setting_has_a_name():
    found = [".".join(path) for path in names(type_info(Settings))]  # type: ignore[arg-type]
    assert {"nodes", "http.port", "recording.s3.bucket", "lines.NAME.keys"} <= set(found)
    assert {"lines.NAME.sip.trunk", "lines.NAME.agent.voice"} <= set(found)


def test_every_value_and_table_of_a_tree_has_a_path():
    assert list(paths({"a": {"b": 1, "c": {}}})) == [("a",), ("a", "b"), ("a", "c")]
