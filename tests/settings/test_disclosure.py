"""The settings of what callers are told who hear a machine."""

import pytest

from bridge.errors import SettingsError
from bridge.settings.disclosure import Disclosure, check_disclosure, unspeakable
from bridge.settings.model import load

SECTION = "lines.a.disclosure"


def test_a_file_has_the_key_for(tmp_path):
    file = tmp_path / "bridge.toml"
    file.write_text('[disclosure]\ntext = "A machine."\nfor = ["socket"]\n')
    assert load({}, file).disclosure == Disclosure(text="A machine.", for_=["socket"])


def test_a_variable_has_the_key_for():
    assert load({"BRIDGE_DISCLOSURE__FOR": '["twilio"]'}).disclosure.for_ == ["twilio"]


def test_a_road_that_is_none_is_refused(tmp_path):
    file = tmp_path / "bridge.toml"
    file.write_text('[lines.a]\nkeys = ["k"]\n[lines.a.disclosure]\nfor = ["telex"]\n')
    with pytest.raises(SettingsError, match=r"lines\.a\.disclosure\.for"):
        load({}, file)


def test_a_sound_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"disclosure\.asset: there is no sound file"):
        check_disclosure(SECTION, Disclosure(asset="told.wav"), tmp_path)


def test_an_asset_belongs_to_a_line(tmp_path):
    check_disclosure(SECTION, Disclosure(asset="asset_1"), tmp_path)
    with pytest.raises(SettingsError, match=r"disclosure\.asset: an asset belongs to a line"):
        check_disclosure("disclosure", Disclosure(asset="asset_1"), tmp_path, of_line=False)


def test_a_language_that_is_none_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"disclosure\.language"):
        check_disclosure(SECTION, Disclosure(text="A machine.", language="German!"), tmp_path)


@pytest.mark.parametrize(
    ("disclosure", "speaks", "has_asset", "refused"),
    [
        (Disclosure(), False, True, ""),
        (Disclosure(text="A machine."), True, True, ""),
        (Disclosure(text="A machine."), False, True, "text"),
        (Disclosure(asset="asset_1"), False, True, ""),
        (Disclosure(asset="asset_1"), True, False, "asset"),
        (Disclosure(text="A machine.", asset="asset_1"), False, True, ""),
    ],
)
def test_what_cannot_be_said_is_named(disclosure, speaks, has_asset, refused):
    found = unspeakable(SECTION, disclosure, speaks=speaks, has_asset=has_asset)
    assert found.startswith(f"{SECTION}.{refused}:") if refused else not found
