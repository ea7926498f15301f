"""A limit to what a test may wait for, whatever it waits with."""

import asyncio
import io
import signal
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 240.0
"""More than any test takes on a busy machine; less than `faulthandler_timeout`, which ends the worker."""


class TestTimeout(BaseException):
    """Raised in a test that took too long; says what every task was waiting for.

    Not an `Exception`, so that no code under test takes it for an error of its own.
    """

    __test__ = False


@contextmanager
def limited(seconds: float = SECONDS) -> Iterator[None]:
    """Interrupt what goes on in the main thread after so many seconds: any await, read or wait.

    Raises:
        TestTimeout: inside the block, where the main thread stands.
    """

    def interrupt(*_: object) -> None:
        raise TestTimeout(f"not done after {seconds:g} s{_stacks()}")

    before = signal.signal(signal.SIGALRM, interrupt)
    # Again every second: a task of the bridge that happens to run may swallow the first ones.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _stacks() -> str:
    """Where each task of the running loop waits."""
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:
        return ""
    text = io.StringIO()
    for task in tasks:
        text.write(f"\n{task.get_name()}:\n")
        task.print_stack(file=text)
    return text.getvalue()
