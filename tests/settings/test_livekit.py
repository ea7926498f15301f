"""The settings of a line's tokens for LiveKit's client SDKs."""

import pytest

from bridge.errors import SettingsError
from bridge.settings.livekit import LiveKit, check_api_keys, check_livekit
from bridge.settings.model import load

SECRET = "a-secret-of-twenty-characters"
PAIR = LiveKit(api_key="APIsales", api_secret=SECRET)


def refused(**given) -> str:
    with pytest.raises(SettingsError) as error:
        check_livekit("lines.a.livekit", LiveKit(**given))
    return str(error.value)


def test_a_line_needs_no_settings_for_livekit():
    check_livekit("lines.a.livekit", LiveKit())


def test_a_key_with_a_long_secret_will_do():
    check_livekit("lines.a.livekit", PAIR)


def test_a_key_needs_a_secret():
    assert refused(api_key="APIsales").startswith("lines.a.livekit.api_secret: needed")


def test_a_secret_needs_a_key():
    assert refused(api_secret=SECRET).startswith("lines.a.livekit.api_key: needed")


def test_a_secret_that_can_be_guessed_is_refused_and_not_told():
    message = refused(api_key="APIsales", api_secret="guess-me")
    assert message.startswith("lines.a.livekit.api_secret: has fewer than 20")
    assert "guess-me" not in message


def test_lines_without_a_key_have_none_in_common():
    check_api_keys({"a": LiveKit(), "b": LiveKit(), "c": PAIR})


def test_two_lines_cannot_have_the_same_key():
    with pytest.raises(SettingsError, match=r"lines\.b\.livekit\.api_key: is that of lines\.a"):
        check_api_keys({"a": PAIR, "b": PAIR})


def test_all_of_it_is_checked_when_a_file_is_read(tmp_path):
    file = tmp_path / "bridge.toml"
    line = f'[lines.{{}}]\nkeys = ["a-long-random-key-of-{{}}"]\nlivekit = {{{{ api_key = "k", api_secret = "{SECRET}" }}}}\n'
    file.write_text(line.format("a", "a"))
    assert load({}, file).lines["a"].livekit == LiveKit(api_key="k", api_secret=SECRET)
    file.write_text(line.format("a", "a") + line.format("b", "b"))
    with pytest.raises(SettingsError, match=r"lines\.b\.livekit\.api_key"):
        load({}, file)
    file.write_text(line.format("a", "a").replace(SECRET, ""))
    with pytest.raises(SettingsError, match=r"lines\.a\.livekit\.api_secret"):
        load({}, file)
