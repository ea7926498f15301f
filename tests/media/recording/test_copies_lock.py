"""A lock that tasks and processes of one machine share."""

import asyncio
import sys
from asyncio.subprocess import PIPE

import pytest

from bridge.media.recording.copies import locked

HOLDER = """
import asyncio, sys
from pathlib import Path
from bridge.media.recording.copies import locked
async def main():
    async with locked(Path(sys.argv[1])):
        print("locked", flush=True)
        sys.stdin.read()
asyncio.run(main())
"""


async def test_one_at_a_time_holds_it_and_the_file_is_deleted_afterwards(tmp_path):
    held, most = 0, 0

    async def hold():
        nonlocal held, most
        async with locked(tmp_path / "one"):
            held += 1
            most = max(most, held)
            await asyncio.sleep(0.01)
            held -= 1

    await asyncio.gather(*(hold() for _ in range(8)))
    assert most == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", ["released", "killed"])
async def test_another_process_keeps_it_until_it_is_done_or_killed(tmp_path, end):
    path = tmp_path / "one"
    command = [sys.executable, "-c", HOLDER, str(path)]
    holder = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"locked\n"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), locked(path):
            pass
    if end == "killed":
        holder.kill()
    holder.stdin.close()
    async with asyncio.timeout(10), locked(path):
        pass
    await holder.wait()


async def test_locks_of_other_names_are_free(tmp_path):
    async with locked(tmp_path / "one"), asyncio.timeout(1), locked(tmp_path / "other"):
        pass
