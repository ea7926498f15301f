"""The database's URL is checked before it is used, and never shown."""

import msgspec
import pytest

from bridge.errors import SettingsError
from bridge.settings.model import Settings, check


def checked(**data):
    check(msgspec.convert({"data": data}, Settings))


def test_no_url_is_a_file_and_both_names_of_the_scheme_are_taken():
    for url in ("", "postgresql://db/x", "postgres://db/x"):
        checked(url=url)


def test_another_database_is_refused_without_its_password():
    with pytest.raises(SettingsError, match=r"data\.url must begin with postgresql:") as caught:
        checked(url="mysql://bridge:tulip@db/x")
    assert "tulip" not in str(caught.value)
