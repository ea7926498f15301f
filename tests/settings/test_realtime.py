"""Settings of the model that a line's calls are streamed to."""

import pytest

from bridge.errors import SettingsError
from bridge.settings.model import load
from bridge.settings.realtime import Realtime, RealtimeTool, check_realtime

WEATHER = RealtimeTool(name="weather")
TOOLS_URL = "https://example.com/tools"


def refused(**changed) -> str:
    with pytest.raises(SettingsError) as error:
        check_realtime("lines.a.realtime", Realtime(**changed))
    return str(error.value)


def test_without_any_setting_it_is_openais():
    check_realtime("lines.a.realtime", Realtime())


def test_a_file_has_its_functions_as_tables(tmp_path):
    file = tmp_path / "bridge.toml"
    file.write_text(
        """
[lines.a]
keys = ["a-long-random-key-of-a-line"]
[lines.a.realtime]
tools_url = "https://example.com/tools"
[[lines.a.realtime.tools]]
name = "weather"
description = "What the weather is like."
[lines.a.realtime.tools.parameters]
type = "object"
properties.city.type = "string"
"""
    )
    realtime = load({}, file).lines["a"].realtime
    assert realtime is not None
    [tool] = realtime.tools
    assert tool.parameters == {"type": "object", "properties": {"city": {"type": "string"}}}


def test_a_line_has_no_model_by_itself(tmp_path):
    file = tmp_path / "bridge.toml"
    file.write_text('[lines.a]\nkeys = ["a-long-random-key-of-a-line"]\n')
    assert load({}, file).lines["a"].realtime is None


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"url": "https://api.openai.com/v1/realtime"}, "lines.a.realtime.url"),
        ({"tools_url": "ftp://example.com"}, "lines.a.realtime.tools_url"),
        ({"tools": [WEATHER]}, "lines.a.realtime.tools_url"),
        ({"tools": [WEATHER, WEATHER], "tools_url": TOOLS_URL}, "lines.a.realtime.tools"),
        ({"tools": [RealtimeTool(name="a b")], "tools_url": TOOLS_URL}, "lines.a.realtime.tools"),
        (
            {"tools": [RealtimeTool(name="hang_up")], "tools_url": TOOLS_URL, "hang_up": True},
            "lines.a.realtime.tools",
        ),
    ],
)
def test_what_could_never_work_is_refused_by_the_settings_name(changed, key):
    assert refused(**changed).startswith(key + ": ")
