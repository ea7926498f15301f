"""The command line for a number of Meta's."""

import argparse

import pytest

from bridge.cli.whatsapp import _line, _run, add_arguments, calling
from bridge.errors import SettingsError
from bridge.settings.model import Line, Settings, WhatsApp
from tests.calls.whatsapp.test_cloud import cloud_line
from tests.support.inprocess import settings
from tests.support.whatsapp.graph_double import GraphDouble


def arguments(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


async def perform(chosen: Settings, *words) -> int:
    return await _run(chosen, _line(chosen, ""), arguments(*words))


async def test_enabling_shows_what_is_set_then(capsys):
    async with GraphDouble() as graph:
        chosen = settings(lines={"main": cloud_line(graph)})
        assert await perform(chosen, "enable", "--icon", "DISABLE_ALL") == 0
        assert graph.settings["calling"]["call_icon_visibility"] == "DISABLE_ALL"
        capsys.readouterr()
        assert await perform(chosen, "status") == 0
    assert '"status": "ENABLED"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("action", "code", "word"),
    [("enable", 138015, "2000"), ("enable", 138018, "subscribes"), ("status", 190, "expired")],
)
async def test_what_meta_refuses_is_said_in_words(action, code, word, capsys):
    async with GraphDouble() as graph:
        chosen = settings(lines={"main": cloud_line(graph)})
        graph.faults["settings"] = [(400, {"error": {"code": code, "message": "(#1) no"}})]
        assert await perform(chosen, action) == 1
    told = capsys.readouterr()
    assert (told.out, word in told.err) == ("", True)


def test_there_must_be_a_line_of_metas():
    with pytest.raises(SettingsError, match="--config"):
        _line(Settings(), "")
    with pytest.raises(SettingsError, match="--config"):
        _line(settings(lines={"main": Line(keys=["k"])}), "main")


def test_one_of_several_lines_is_named():
    lines = {name: Line(keys=[name], whatsapp=WhatsApp(provider="cloud")) for name in "ab"}
    chosen = Settings(lines=lines)
    assert _line(chosen, "b")[0] == "b"
    for wanted in ("", "c"):
        with pytest.raises(SettingsError, match="--line: a, b"):
            _line(chosen, wanted)


def test_hours_are_json():
    with pytest.raises(SettingsError, match="--hours"):
        calling(arguments("enable", "--hours", "{"))
    with pytest.raises(SettingsError, match="--hours"):
        calling(arguments("enable", "--hours", "[]"))
    assert calling(arguments("enable", "--hours", '{"status": "ENABLED"}'))["call_hours"]
