"""What names a machine."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.cluster.host import FILE, known_machine_id, machine_id
from bridge.errors import SetupError


def test_an_id_is_made_once_and_kept(tmp_path):
    first = machine_id(tmp_path / "data")
    assert len(first) == 16
    assert machine_id(tmp_path / "data") == first


def test_two_machines_have_different_ones(tmp_path):
    assert machine_id(tmp_path / "one") != machine_id(tmp_path / "two")


def test_nobody_else_may_read_it_and_nothing_else_is_left(tmp_path):
    path = tmp_path / FILE
    machine_id(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_all_processes_that_start_at_once_get_the_same(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: machine_id(tmp_path), range(32)))
    assert len(found) == 1


def test_a_damaged_file_is_refused_with_its_name(tmp_path):
    (tmp_path / FILE).write_text("\x00" * 16)
    with pytest.raises(SetupError, match=FILE):
        machine_id(tmp_path)


def test_who_only_looks_leaves_a_folder_without_an_id_as_it_is(tmp_path):
    assert known_machine_id(tmp_path) == ""
    assert list(tmp_path.iterdir()) == []
    assert machine_id(tmp_path) == known_machine_id(tmp_path)
