"""What names the call that a thread works on, and names nothing while it works on none."""

import asyncio

import pytest

from bridge.wire.crash_marks import NOTHING, CrashMarks, mark_of
from bridge.wire.rtp.used_numbers import BYTES, HEAD_BYTES, Ledger, read_marks

ONE, TWO = "00" + 15 * "A1", "00" + 15 * "B2"


class Marked:
    """Marks in a ledger, as another process reads them."""

    def __init__(self) -> None:
        self.memory = bytearray(BYTES)
        self.marks = Ledger(memoryview(self.memory), 1000).marks

    @property
    def main(self) -> int:
        return read_marks(bytes(self.memory[:HEAD_BYTES])).main


def test_a_mark_is_that_of_its_call_in_every_process_and_never_that_of_nothing():
    assert mark_of(ONE) == mark_of(ONE)
    assert len({mark_of(ONE), mark_of(TWO), mark_of(""), NOTHING}) == 3
    assert mark_of("") == NOTHING
    assert all(0 < mark_of(f"{number}") < 1 << 62 for number in range(1000))


def test_a_call_is_marked_while_it_is_worked_on_and_what_was_before_afterwards():
    marked = Marked()
    assert marked.main == NOTHING
    with marked.marks.about(ONE):
        assert marked.main == mark_of(ONE)
        with marked.marks.about(TWO):
            assert marked.main == mark_of(TWO)
        assert marked.main == mark_of(ONE)
    assert marked.main == NOTHING


def test_a_marked_function_is_called_as_the_function_is():
    marked, seen = Marked(), []
    receive = marked.marks.marked(ONE, lambda *given: seen.append((given, marked.main)))
    receive(b"data", 5)
    assert seen == [((b"data", 5), mark_of(ONE))]
    assert marked.main == NOTHING


def test_the_media_thread_has_a_mark_of_its_own_beside():
    marked = Marked()
    assert marked.marks.address == 1008
    marked.memory[16:24] = (5).to_bytes(8, "little")
    with marked.marks.about(ONE):
        assert read_marks(bytes(marked.memory[:HEAD_BYTES])) == (mark_of(ONE), 5)


@pytest.mark.parametrize("head", [b"", bytes(HEAD_BYTES), b"x" * HEAD_BYTES, bytes(BYTES)])
def test_memory_that_is_no_ledger_names_nothing(head):
    assert read_marks(head) == (NOTHING, NOTHING)


@pytest.mark.virtual_time
async def test_work_that_waits_is_marked_in_each_step_and_not_while_it_waits():
    marked, seen = Marked(), []

    async def work(call_id: str) -> str:
        for _ in range(3):
            seen.append(marked.main == mark_of(call_id))
            await asyncio.sleep(1)
        return call_id

    async def idle() -> None:
        for _ in range(10):
            await asyncio.sleep(0.3)
            seen.append(marked.main == NOTHING)

    async def marked_work(call_id: str) -> str:
        return await marked.marks.steps(call_id, work(call_id))

    found = await asyncio.gather(marked_work(ONE), marked_work(TWO), idle())
    assert found[:2] == [ONE, TWO]
    assert len(seen) == 16
    assert all(seen)


@pytest.mark.virtual_time
async def test_work_that_fails_or_is_cancelled_does_so_as_without_a_mark():
    marks, cleaned = CrashMarks(), []

    async def fail() -> None:
        await asyncio.sleep(1)
        raise ValueError("of the work")

    async def hold() -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
            cleaned.append(True)
            raise

    async def marked(work) -> None:
        await marks.steps(ONE, work)

    with pytest.raises(ValueError, match="of the work"):
        await marked(fail())
    task = asyncio.create_task(marked(hold()))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned
