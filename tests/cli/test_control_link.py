"""The link to the page, printed again."""

import pytest

from bridge.cli import control
from bridge.errors import SetupError
from bridge.http import local_token
from bridge.settings.model import Data, Http, Settings


def chosen(folder):
    return Settings(data=Data(dir=str(folder)), http=Http(host="::1", port=8099))


def test_the_link_has_the_token_of_the_bridge_that_runs(tmp_path, capsys):
    token = local_token.find(tmp_path)
    assert control.link(chosen(tmp_path)) == 0
    assert capsys.readouterr().out == f"http://[::1]:8099/#token={token}\n"


def test_without_a_token_it_says_what_to_do(tmp_path):
    with pytest.raises(SetupError, match=r"local\.token.*start the bridge"):
        control.link(chosen(tmp_path))
