"""The settings of a line's media streams."""

import pytest

from bridge.errors import SettingsError
from bridge.settings.line import Stream, check_stream

SECRET = "a-secret-of-twenty-characters"


def check(folder, **given):
    check_stream("lines.a.stream", Stream(**given), folder)


def test_a_line_needs_no_settings_for_streams(tmp_path):
    check(tmp_path)


def test_two_long_secrets_may_stand_beside_each_other(tmp_path):
    check(tmp_path, secret=SECRET, former_secret=SECRET[::-1])


@pytest.mark.parametrize("key", ["secret", "former_secret"])
def test_a_secret_that_can_be_guessed_is_refused(tmp_path, key):
    with pytest.raises(SettingsError, match=rf"lines\.a\.stream\.{key}: has fewer than 20"):
        check(tmp_path, **{"secret": SECRET, key: "short"})


def test_a_former_secret_alone_signs_nothing_and_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"lines\.a\.stream\.former_secret"):
        check(tmp_path, former_secret=SECRET)


def test_an_announcement_needs_a_sound_file(tmp_path):
    with pytest.raises(SettingsError, match=r"lines\.a\.stream\.announcement: needed"):
        check(tmp_path, fallback="announcement")


def test_a_sound_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(
        SettingsError, match=r"announcement: there is no sound file at .*sorry\.wav"
    ):
        check(tmp_path, fallback="announcement", announcement="sorry.wav")


def test_a_sound_file_below_the_media_folder_will_do(tmp_path):
    (tmp_path / "sorry.wav").touch()
    check(tmp_path, fallback="announcement", announcement="sorry.wav")
