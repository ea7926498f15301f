"""What the doctor reads of the bridge's database."""

import pytest

from bridge.app.databases import engine_of
from bridge.cli.doctor import database
from bridge.settings.model import Data
from bridge.stores.secret import FILE, identity, shared_secret


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def data(request, tmp_path):
    if request.param == "sqlite":
        return Data(dir=str(tmp_path))
    return Data(dir=str(tmp_path), url=request.getfixturevalue("postgres_url"))


def test_a_bridge_that_was_never_started_has_no_identity(data):
    assert database.known_identity(data) == ""


def test_the_identity_is_that_of_the_secret_in_the_database(data, tmp_path):
    secret = shared_secret(engine_of(data), tmp_path)
    assert database.known_identity(data) == identity(secret)


def test_the_identity_of_an_earlier_version_is_known_before_it_is_taken_over(data, tmp_path):
    (tmp_path / FILE).write_bytes(b"a secret of before")
    assert database.known_identity(data) == identity(b"a secret of before")


def test_what_cannot_be_asked_is_missing(tmp_path):
    unreachable = Data(dir=str(tmp_path), url="postgresql://bridge@127.0.0.1:1/bridge")
    assert database.read(unreachable, lambda connection: "found", "missing") == "missing"
