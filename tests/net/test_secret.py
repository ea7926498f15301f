"""The secret that all nodes share."""

from concurrent.futures import ThreadPoolExecutor

from bridge.net.secret import BYTES, shared_secret


def test_a_secret_is_made_once_and_kept(tmp_path):
    first = shared_secret(tmp_path / "data" / "secret")
    assert len(first) == BYTES
    assert shared_secret(tmp_path / "data" / "secret") == first


def test_two_bridges_have_different_ones(tmp_path):
    assert shared_secret(tmp_path / "one") != shared_secret(tmp_path / "two")


def test_nobody_else_may_read_it_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "secret"
    shared_secret(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_all_who_begin_at_once_get_the_same(tmp_path):
    path = tmp_path / "secret"
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: shared_secret(path), range(32)))
    assert len(found) == 1
