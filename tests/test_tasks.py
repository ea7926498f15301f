"""Tasks with an owner."""

import asyncio
import logging

from bridge.tasks import Tasks, wait_set


async def forever() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise ValueError("broken")


async def test_closing_cancels_what_runs_and_waits_for_it():
    tasks = Tasks()
    task = tasks.spawn(forever(), name="forever")
    await tasks.aclose()
    assert task.cancelled()
    assert len(tasks) == 0


async def test_what_a_task_raises_is_logged_with_its_name(caplog):
    tasks = Tasks()
    with caplog.at_level(logging.ERROR):
        tasks.spawn(fail(), name="the broken one")
        await tasks.wait()
    [record] = caplog.records
    assert record.__dict__["task"] == "the broken one"


async def test_waiting_includes_tasks_spawned_meanwhile():
    tasks = Tasks()
    done = []

    async def second() -> None:
        done.append("second")

    async def first() -> None:
        tasks.spawn(second(), name="second")
        done.append("first")

    tasks.spawn(first(), name="first")
    await tasks.wait()
    assert done == ["first", "second"]


async def test_a_task_may_close_its_own_owner():
    tasks = Tasks()
    await tasks.spawn(tasks.aclose(), name="self")
    assert len(tasks) == 0


async def test_a_wait_ends_when_its_event_is_set_or_its_time_is_over():
    event = asyncio.Event()
    assert not await wait_set(event, 0.001)
    asyncio.get_running_loop().call_soon(event.set)
    assert await wait_set(event, None)
