"""The PostgreSQL database, against a real server."""

import pytest

from bridge.cli.doctor.database import Seen, check_postgres, evaluate, evaluate_encryption, look
from bridge.db.schema import MIGRATIONS
from tests.cli.doctor.surroundings import assert_fails, assert_ok, assert_warns, only
from tests.support.machine import free_port
from tests.support.servers.postgres import PASSWORD

needs_server = pytest.mark.postgresql
SEEN = Seen(
    server=15, tables=len(MIGRATIONS), commit_seconds=0.002, ahead_seconds=0.1, encryption=""
)


def found_in(url):
    return check_postgres(url)


@needs_server
def test_a_database_is_reached_timed_and_left_as_it_was(postgres_server):
    with postgres_server.database() as name:
        url = postgres_server.tcp_url(name)
        answers, commit, encryption = found_in(url)
        assert_ok(answers, "can be written", "this version's form")
        assert_ok(commit, "a commit takes")
        assert_ok(encryption, "stays on this machine")
        postgres_server.execute("CREATE TABLE bridge_doctor (a INTEGER)", database=name)


@needs_server
def test_an_empty_database_is_not_filled(postgres_server):
    with postgres_server.database(template="template0") as name:
        for _ in range(2):
            answers, *_ = found_in(postgres_server.tcp_url(name))
            assert_ok(answers, "at the first start")


@needs_server
def test_what_refuses_the_bridge_is_told_without_the_password(postgres_server):
    with postgres_server.database() as name:
        url = postgres_server.tcp_url(name)
        postgres_server.execute("INSERT INTO bridge_schema VALUES (99)", database=name)
        newer = only(found_in(url))
        assert_fails(newer, "a newer bridge", "start that version", setting="data.url")
        wrong = only(found_in(url.replace(PASSWORD, "wrong-words")))
        assert_fails(wrong, "refuses the password", setting="data.url")
        assert "wrong-words" not in wrong.found + wrong.fix


@needs_server
def test_a_user_without_rights_is_told(postgres_server):
    with postgres_server.database() as name:
        postgres_server.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC", database=name)
        postgres_server.execute(f"ALTER DATABASE {name} OWNER TO postgres")
        postgres_server.execute("ALTER SCHEMA public OWNER TO postgres", database=name)
        found = only(found_in(postgres_server.tcp_url(name)))
        assert_fails(found, "may not make tables", "owner", setting="data.url")


def test_a_server_that_is_not_there_is_told():
    url = f"postgresql://bridge:a-secret-password@127.0.0.1:{free_port()}/bridge"
    found = only(found_in(url))
    assert_fails(found, "cannot be reached", setting="data.url")
    assert "a-secret-password" not in found.found + found.fix


@needs_server
def test_the_clocks_of_one_machine_agree(postgres_server):
    with postgres_server.database() as name:
        assert abs(look(postgres_server.tcp_url(name)).ahead_seconds) < 1.0


def seen(**changes):
    return Seen(**{name: getattr(SEEN, name) for name in SEEN.__slots__} | changes)


def test_a_slow_commit_is_told():
    answers, commit = evaluate(seen(commit_seconds=0.2))
    assert_ok(answers)
    assert_warns(commit, "200.0 ms", setting="data.url")


def test_older_tables_are_told_to_be_changed_by_the_next_start():
    assert_ok(evaluate(seen(tables=max(1, len(MIGRATIONS) - 1), server=16))[0], "PostgreSQL 16")
    if len(MIGRATIONS) > 1:
        assert "next start" in evaluate(seen(tables=1))[0].found


@pytest.mark.parametrize(("ahead", "side"), [(90.0, "behind"), (-90.0, "ahead of")])
def test_a_clock_that_is_not_the_databases_is_told(ahead, side):
    assert_warns(evaluate(seen(ahead_seconds=ahead))[-1], f"90 s {side}")


@pytest.mark.parametrize(
    ("url", "encryption", "words"),
    [
        ("postgresql://b:p@db.example/bridge", "", "not encrypted"),
        ("postgresql://b:p@db.example/bridge?sslmode=require", "TLSv1.3", "anybody could be"),
    ],
)
def test_a_connection_that_others_can_read_or_answer_is_told(url, encryption, words):
    assert_warns(evaluate_encryption(url, encryption), words, "verify-full", setting="data.url")


def test_a_verified_connection_is_well():
    url = "postgresql://b:p@db.example/bridge?sslmode=verify-full&sslrootcert=a.pem"
    assert_ok(evaluate_encryption(url, "TLSv1.3"), "TLSv1.3", "verified")
    assert_ok(evaluate_encryption("postgresql:///bridge?host=/run/postgresql", ""))
