"""A PostgreSQL database that cannot be used is refused with what to do, and without the password."""

import pytest

from bridge.db import postgres_setup
from bridge.db.postgres import Postgres
from bridge.db.schema import MIGRATIONS
from bridge.errors import SetupError
from tests.support.servers.postgres import PASSWORD

pytestmark = pytest.mark.postgresql


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(postgres_setup, "WAIT_SECONDS", 0.0)


def refused(url, because):
    with pytest.raises(SetupError, match=because) as caught:
        Postgres(url).open()
    assert str(caught.value).startswith("data.url: ")
    assert PASSWORD not in str(caught.value) + repr(Postgres(url))


def test_an_empty_database_gets_the_tables_once(postgres_server):
    with postgres_server.database(template="template0") as name:
        for _ in range(2):
            session = Postgres(postgres_server.tcp_url(name)).open()
            row = session.execute("SELECT max(version), count(*) FROM bridge_schema").fetchone()
            assert row == (len(MIGRATIONS), len(MIGRATIONS))
            session.close()


def test_a_process_that_has_opened_it_does_not_look_again(postgres_server):
    with postgres_server.database(template="template0") as name:
        session = Postgres(postgres_server.tcp_url(name), migrated=True).open()
        found = session.execute("SELECT to_regclass('bridge_schema') IS NULL").fetchone()
        assert found == (True,)
        session.close()


def test_tables_of_another_program_are_left_alone(postgres_server):
    with postgres_server.database(template="template0") as name:
        postgres_server.execute("CREATE TABLE users (id INTEGER)", database=name)
        refused(postgres_server.tcp_url(name), 'tables of another program \\("users"')


def test_a_table_that_only_has_our_name_is_not_ours(postgres_server):
    with postgres_server.database(template="template0") as name:
        postgres_server.execute("CREATE TABLE bridge_schema (version INTEGER)", database=name)
        refused(postgres_server.tcp_url(name), "tables of another program")


def test_a_newer_schema_is_refused(postgres_server):
    with postgres_server.database() as name:
        postgres_server.execute("INSERT INTO bridge_schema VALUES (99)", database=name)
        refused(postgres_server.tcp_url(name), "a newer bridge has used this database")


def test_a_wrong_password_is_refused_at_once(postgres_server):
    with postgres_server.database() as name:
        refused(postgres_server.tcp_url(name).replace(PASSWORD, "wrong"), "refuses the password")


def test_a_missing_database_is_named(postgres_server):
    refused(postgres_server.tcp_url("nowhere"), "no such database")


def test_a_user_without_rights_is_told_what_to_grant(postgres_server):
    with postgres_server.database(template="template0") as name:
        postgres_server.execute("ALTER DATABASE " + name + " OWNER TO postgres")
        refused(postgres_server.tcp_url(name), "make it the owner")


def test_a_server_without_tls_is_told_apart_from_none(postgres_server):
    with postgres_server.database() as name:
        refused(postgres_server.tcp_url(name, options="?sslmode=require"), "offers no TLS")


def test_tls_without_a_root_certificate_says_what_it_needs(postgres_server, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    with postgres_server.database() as name:
        refused(postgres_server.tcp_url(name, options="?sslmode=verify-full"), "needs sslrootcert=")


def test_a_server_that_cannot_be_reached_is_waited_for(postgres_server):
    refused("postgresql://bridge@127.0.0.1:1/x", "cannot be reached .*start it")


def test_an_old_server_is_refused(postgres_server, monkeypatch):
    monkeypatch.setattr(postgres_setup, "OLDEST", 99)
    with postgres_server.database() as name:
        refused(postgres_server.tcp_url(name), "needs 99 or later")
