"""The room that recordings leave on the disk."""

import errno
import shutil

import pytest

from bridge.media.disk_space import DiskSpace


def test_what_is_free_is_what_this_process_may_still_write(tmp_path):
    assert DiskSpace(tmp_path, 0).free_bytes() == pytest.approx(
        shutil.disk_usage(tmp_path).free, rel=0.05
    )


def test_a_disk_with_room_takes_more(tmp_path):
    DiskSpace(tmp_path, 1).check()


def test_a_disk_with_less_than_what_is_to_be_left_counts_as_full(tmp_path):
    with pytest.raises(OSError, match="less disk space is free") as failure:
        DiskSpace(tmp_path, 1 << 60).check()
    assert failure.value.errno == errno.ENOSPC
