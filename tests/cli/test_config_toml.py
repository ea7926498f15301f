"""Tests of writing settings as TOML: nothing is lost, and no secret is in it."""

import tomllib
from itertools import count
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest

from bridge.cli.config import to_toml, write
from bridge.settings.model import Line, Settings, WhatsApp
from bridge.settings.secrets import secrets_in


def filled(section: type[msgspec.Struct], numbers: Any) -> Any:
    """Return a section in which every text is another word, also those in lists and in optional tables."""
    return section(
        **{
            field.name: _filled(field.type, numbers)
            for field in msgspec.structs.fields(section)
            if _filled(field.type, numbers) is not None
        }
    )


def _filled(kind: Any, numbers: Any) -> Any:
    if get_origin(kind) is Literal:
        return None
    if hasattr(kind, "__metadata__"):
        kind = kind.__origin__
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return filled(kind, numbers)
    if kind is str:
        return f"word-{next(numbers):05}"
    parts = [part for part in get_args(kind) if part is not type(None)]
    if get_origin(kind) is list:
        item = _filled(parts[0], numbers)
        return None if item is None else [item]
    if get_origin(kind) is dict:
        return {"main": _filled(parts[1], numbers)}
    return _filled(parts[0], numbers) if parts else None


def test_no_secret_of_settings_in_which_all_is_set_is_shown():
    settings: Settings = filled(Settings, count())
    secrets = secrets_in(settings)
    shown = to_toml(settings, {}, changed=False)
    assert len(secrets) >= 15
    assert [secret for secret in secrets if secret in shown] == []
    assert shown.count("word-") > 30


def test_all_that_is_no_secret_can_be_read_again():
    shown = tomllib.loads(to_toml(Settings(), {}, changed=False))
    defaults = msgspec.to_builtins(Settings())
    assert shown == {key: value for key, value in defaults.items() if key != "lines"}


def test_a_line_is_a_table_and_what_it_lacks_is_left_out():
    line = Line(keys=["k"], whatsapp=WhatsApp(provider="cloud"))
    shown = tomllib.loads(to_toml(Settings(lines={"a b": line}), {}, changed=True))
    assert shown == {"lines": {"a b": {"keys": ["(hidden)"], "whatsapp": {"provider": "cloud"}}}}


def test_an_origin_stands_behind_its_setting():
    settings = Settings(nodes=2)
    shown = to_toml(settings, {("nodes",): "BRIDGE_NODES"}, changed=True)
    assert "nodes = 2  # BRIDGE_NODES\n" in shown
    assert "# no lines: those of the demonstration" in shown


@pytest.mark.parametrize(
    "value",
    ['a "word"\n\t\x7f\x01 — ü', ["a", "b"], True, 1.5, 3, float("inf"), [{"a b": {"c": [1]}}], {}],
)
def test_a_value_is_the_same_when_it_is_read_again(value):
    assert tomllib.loads(f"x = {write(value)}")["x"] == value
