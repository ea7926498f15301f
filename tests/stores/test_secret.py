"""The secret that all nodes share."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from bridge.stores import secret
from bridge.stores.secret import BYTES, FILE, identity, shared_secret


def test_a_secret_is_made_once_and_kept(engine, tmp_path):
    first = shared_secret(engine, tmp_path)
    assert len(first) == BYTES
    assert shared_secret(engine, tmp_path / "another machine") == first


def test_two_bridges_have_different_ones(engine, tmp_path):
    first = shared_secret(engine, tmp_path)
    with closing(engine.open()) as session:
        assert secret.find(session) == first
        session.execute("DELETE FROM secrets")
    assert shared_secret(engine, tmp_path) != first


def test_the_file_of_an_earlier_version_is_taken_over_with_its_identity(engine, tmp_path):
    (tmp_path / FILE).write_bytes(b"a secret of before")
    assert shared_secret(engine, tmp_path) == b"a secret of before"
    assert not (tmp_path / FILE).exists()
    assert identity(shared_secret(engine, tmp_path)) == identity(b"a secret of before")


def test_all_who_begin_at_once_get_the_same(engine, tmp_path):
    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(lambda _: shared_secret(engine, tmp_path), range(12)))
    assert len(found) == 1
