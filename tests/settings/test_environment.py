"""Settings out of files that the environment names; tests/settings/test_model.py has the rest."""

import pytest

from bridge.errors import SettingsError
from bridge.settings.environment import place
from bridge.settings.model import Settings, load, read
from bridge.settings.tree import origin


@pytest.fixture
def secret(tmp_path):
    """Write a secret into a file, with the line break that editors add, and return its path."""

    def write(text):
        path = tmp_path / "secret"
        path.write_text(text + "\n")
        return str(path)

    return write


TURN = {"BRIDGE_TURN__MODE": "shared_secret", "BRIDGE_TURN__URLS": '["turn:a"]'}


def test_a_text_comes_from_a_file(secret):
    assert load(TURN | {"BRIDGE_TURN__SECRET_FILE": secret("of coturn")}).turn.secret == "of coturn"


def test_a_list_comes_from_a_file_with_one_text_a_line(secret):
    path = secret("the-first-long-random-key\nthe-second-long-random-key")
    keys = load({"BRIDGE_LINES__MAIN__KEYS_FILE": path}).lines["main"].keys
    assert keys == ["the-first-long-random-key", "the-second-long-random-key"]


def test_a_file_that_is_not_there_stops_the_start_and_names_the_variable(tmp_path):
    with pytest.raises(SettingsError, match="BRIDGE_TURN__SECRET_FILE"):
        load(TURN | {"BRIDGE_TURN__SECRET_FILE": str(tmp_path / "missing")})


def test_a_value_and_a_file_for_one_setting_are_refused(secret):
    both = {"BRIDGE_TURN__SECRET": "a", "BRIDGE_TURN__SECRET_FILE": secret("b")}
    with pytest.raises(SettingsError, match="is set too"):
        load(TURN | both)


def test_a_variable_that_cannot_be_used_does_not_hide_the_mistakes_of_others(tmp_path):
    found = read(
        TURN
        | {
            "BRIDGE_TURN__SECRET_FILE": str(tmp_path / "missing"),
            "BRIDGE_HTTP__PORT": "many",
            "BRIDGE_HTTP__PORT__X": "1",
        }
    ).problems
    assert [text.partition(":")[0] for text in found] == [
        "BRIDGE_TURN__SECRET_FILE",
        "BRIDGE_HTTP__PORT__X",
        "http.port",
    ]
    assert found[2].endswith("(set by BRIDGE_HTTP__PORT)")


def test_the_last_variable_for_a_place_is_where_its_value_comes_from():
    tree: dict[str, object] = {"turn": {"mode": "static"}}
    table = {"BRIDGE_TURN__TTL": "5", "BRIDGE_TURN": '{"ttl": 6}', "BRIDGE_TURN__SECRET": "s"}
    variables = place(tree, table, Settings).variables
    assert tree == {"turn": {"ttl": 6, "secret": "s"}}
    assert origin(("turn", "ttl"), variables) == "BRIDGE_TURN"
    assert origin(("turn", "secret"), variables) == "BRIDGE_TURN__SECRET"
    assert origin(("http", "port"), variables) == ""
