"""Tests that hang are interrupted and name the cause."""

import asyncio
import socket
import subprocess
import sys

import pytest

from tests.support.time_limit import TestTimeout, limited


def test_a_read_that_nobody_answers_is_interrupted():
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TestTimeout, match=r"not done after 0\.05 s"), limited(0.05):
        ours.recv(1)


def test_a_process_that_does_not_end_is_interrupted():
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process,
        pytest.raises(TestTimeout),
        limited(0.05),
    ):
        process.wait()


def test_a_task_that_waits_for_ever_is_interrupted_and_named():
    async def answer_that_never_comes():
        await asyncio.Event().wait()

    with (
        asyncio.Runner() as runner,
        pytest.raises(TestTimeout, match="answer_that_never_comes"),
        limited(0.05),
    ):
        runner.run(answer_that_never_comes())


def test_what_ends_in_time_is_not_interrupted_later():
    with limited(0.02):
        pass
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(asyncio.Event().wait(), 0.04))
