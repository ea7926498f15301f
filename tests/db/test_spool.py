"""What waits on the local disk: in order, bounded, and for the next process."""

import pytest

from bridge.db.spool import Spool
from bridge.errors import DatabaseFailed


def bodies(page):
    return [one.body for one in page]


def test_payloads_are_read_in_order_and_deleted_in_pages(tmp_path):
    spool = Spool(tmp_path)
    assert spool.page(9) == []
    assert spool.add([("event", b"1"), ("record", b"2")]) == 2
    assert spool.add([("event", b"3")]) == 1
    page = spool.page(2)
    assert [(one.kind, one.body) for one in page] == [("event", b"1"), ("record", b"2")]
    spool.remove(page)
    assert (spool.waiting, bodies(spool.page(2))) == (1, [b"3"])


def test_only_the_bridge_can_read_the_file_and_an_empty_one_is_deleted(tmp_path):
    spool = Spool(tmp_path)
    spool.add([("event", b"1")])
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    spool.remove(spool.page(1))
    assert list(tmp_path.iterdir()) == []
    assert spool.add([("event", b"2")]) == 1
    assert bodies(spool.page(1)) == [b"2"]


def test_what_there_is_no_room_for_is_left_out(tmp_path):
    spool = Spool(tmp_path, limit_bytes=10)
    assert spool.add([("event", b"12345"), ("event", b"67890"), ("event", b"!")]) == 2
    spool.remove(spool.page(1))
    assert spool.add([("event", b"!")]) == 1


def test_the_next_process_takes_what_an_earlier_one_left_and_nobody_a_living_ones(tmp_path):
    earlier, living = Spool(tmp_path), Spool(tmp_path)
    earlier.add([("event", b"1")])
    living.add([("event", b"2")])
    earlier.close()
    later = Spool(tmp_path)
    later.add([("event", b"3")])
    later.adopt()
    later.adopt()
    assert bodies(later.page(9)) == [b"1"]
    later.remove(later.page(9))
    assert bodies(later.page(9)) == [b"3"]
    assert bodies(living.page(9)) == [b"2"]


def test_a_file_that_cannot_be_read_does_not_keep_the_others_from_being_taken_over(tmp_path):
    earlier = Spool(tmp_path)
    earlier.add([("event", b"1")])
    earlier.close()
    (tmp_path / "99.sqlite3").write_bytes(b"no database" * 100)
    later = Spool(tmp_path)
    with pytest.raises(DatabaseFailed):
        later.adopt()
    assert bodies(later.page(9)) == [b"1"]
    assert (tmp_path / "99.sqlite3").exists()


def test_what_was_refused_is_kept_aside(tmp_path):
    spool = Spool(tmp_path)
    spool.add([("event", b"1"), ("event", b"2")])
    page = spool.page(2)
    spool.remove(page, page[:1])
    spool.close()
    again = Spool(tmp_path)
    again.adopt()
    assert again.waiting == 0
    assert len(list(tmp_path.glob("*.sqlite3"))) == 1


def test_a_folder_that_cannot_be_written_is_a_failure_of_the_database(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseFailed):
        Spool(tmp_path / "file").add([("event", b"1")])
