"""The audit of keys: what it finds, and that there is nothing to find."""

import base64
import mmap
import os
import subprocess
import sys

import pytest

from tests.bench.studies.recoveries import audit
from tests.support.peers.light_peer import patient_peers

KEY = bytes(range(100, 116))


@pytest.mark.parametrize(
    "written", [KEY, KEY.hex().encode(), base64.b64encode(KEY), b"--" + KEY + b"--"]
)
def test_a_key_is_found_in_a_file_however_it_is_written(tmp_path, written):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "one").write_bytes(written)
    (tmp_path / "other").write_bytes(KEY[:-1])
    found = audit.files_with([KEY], tmp_path)
    assert found == [str(tmp_path / "deep" / "one")]


def test_a_key_is_found_in_memory():
    with mmap.mmap(-1, 1 << 16) as memory:
        memory[100:116] = KEY
        assert any("anonymous" in one for one in audit.memory_with([KEY], os.getpid()))


def test_memory_that_core_dumps_leave_out_is_told_from_other_memory():
    descriptor = os.memfd_create("ledger", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, 1 << 16)
    with mmap.mmap(descriptor, 1 << 16) as memory:
        assert len(audit.dumped_ledgers(os.getpid())) == 1
        memory.madvise(mmap.MADV_DONTDUMP)
        assert audit.dumped_ledgers(os.getpid()) == []
    os.close(descriptor)


@pytest.mark.full
def test_a_process_that_hides_its_memory_is_told_from_others():
    hide = "from bridge.cluster.host import hide_memory; hide_memory()\n"
    rest = "print(flush=True)\nimport time; time.sleep(60)"
    with audit.other_group():
        for code, expected in ((hide + rest, False), (rest, True)):
            process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
            try:
                assert process.stdout is not None
                process.stdout.readline()
                assert audit.dumpable(process.pid) is expected
            finally:
                process.kill()
                process.communicate()


@pytest.mark.full
@pytest.mark.real_time
async def test_no_key_is_anywhere_but_in_the_node_that_uses_it():
    with patient_peers():
        found = await audit.study(legs=3, kills=2)
    assert found.faults() == {}
