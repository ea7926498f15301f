"""The command line for a number of Meta's."""

import argparse

import pytest

from bridge.errors import SettingsError
from bridge.settings import Line, Settings, WhatsApp
from bridge.whatsapp_command import _line, _run, add_arguments, calling
from tests.calls.test_whatsapp import cloud_line, world
from tests.support.graph_double import GraphDouble
from tests.support.inprocess import settings


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
        assert await perform(chosen, "status") == 0
    assert '"status": "ENABLED"' in capsys.readouterr().out


async def test_a_check_goes_through_all_steps(capsys):
    async with world() as meta:
        chosen = settings(lines={"main": cloud_line(meta.graph)})
        await perform(chosen, "enable")
        assert await perform(chosen, "check", "--url", meta.graph.webhook) == 0
    said = capsys.readouterr().out
    assert said.count("ok  ") == 4
    assert "FAILED" not in said
    assert "UDP ports" in said


@pytest.mark.parametrize(
    ("changed", "word"),
    [({"access_token": "old"}, "expired"), ({"app_secret": "x"}, "app_secret"),
     ({"verify_token": "x"}, "verify_token"), ({}, "whatsapp enable")],
)  # fmt: skip
async def test_a_check_says_what_to_fix(changed, word, capsys):
    async with world() as meta:
        values = {name: getattr(cloud_line(meta.graph).whatsapp, name) for name in FIELDS}
        line = Line(keys=["k"], whatsapp=WhatsApp(provider="cloud", **(values | changed)))
        found = await perform(Settings(lines={"main": line}), "check", "--url", meta.graph.webhook)
    assert found == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if "FAILED" in line]
    assert any(word in line for line in failed)


FIELDS = ("phone_number_id", "access_token", "app_secret", "verify_token", "base_url")


def test_a_line_must_be_one_of_metas():
    with pytest.raises(SettingsError, match="--line"):
        _line(Settings(), "")


def test_hours_are_json():
    with pytest.raises(SettingsError, match="--hours"):
        calling(arguments("enable", "--hours", "{"))
    assert calling(arguments("enable", "--hours", '{"status": "ENABLED"}'))["call_hours"]
