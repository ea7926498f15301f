"""Which call each thread of a node is working on, in memory that outlives the node; pure.

If a mistake about a call ends the process, its mark names the call; a thread that works on none has no mark. The compiled
packet path sets the marks too (packet_path.c).
"""

from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from types import coroutine
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

WORDS: Final = 2
"""One for each thread: Python's main thread, then the media thread."""
NOTHING: Final = 0

_MAIN: Final = 0
_MARK_BYTES: Final = 7

Words: TypeAlias = "memoryview[int] | None"
"""Signed words of eight bytes."""
Result = TypeVar("Result")


class Marks(NamedTuple):
    """What the threads of a process were working on when it ended; `NOTHING` for no call."""

    main: int = NOTHING
    media: int = NOTHING


def mark_of(call_id: str) -> int:
    """Return the mark of a call, the same in every process; `NOTHING` without an id."""
    if not call_id:
        return NOTHING
    return int.from_bytes(blake2b(call_id.encode(), digest_size=_MARK_BYTES).digest(), "little") | 1


class CrashMarks:
    """The marks of one process; its methods set that of the main thread."""

    def __init__(self, words: Words = None, address: int = 0) -> None:
        """Use `WORDS` words of memory at an address, else memory that ends with the process."""
        self._words = memoryview(bytearray(8 * WORDS)).cast("q") if words is None else words
        self.address = address
        """0 for memory that is nobody else's."""

    def begin(self, mark: int) -> int:
        """Begin to work on a call; return what `end` takes."""
        before = self._words[_MAIN]
        self._words[_MAIN] = mark
        return before

    def end(self, before: int = NOTHING) -> None:
        """Go back to what was worked on before."""
        self._words[_MAIN] = before

    @contextmanager
    def about(self, call_id: str) -> Iterator[None]:
        """Work on a call meanwhile, without waiting."""
        before = self.begin(mark_of(call_id))
        try:
            yield
        finally:
            self.end(before)

    def marked(self, call_id: str, receive: Callable[..., None]) -> Callable[..., None]:
        """Return a function that does the same with the call's mark."""
        mark = mark_of(call_id)

        def marked(*arguments: object) -> None:
            before = self.begin(mark)
            try:
                receive(*arguments)
            finally:
                self.end(before)

        return marked

    def steps(self, call_id: str, work: Awaitable[Result]) -> Awaitable[Result]:
        """Return work about a call, which is marked whenever it runs, and not while it waits."""
        return self._steps(mark_of(call_id), work.__await__())

    @coroutine
    def _steps(self, mark: int, work: Generator[Any, Any, Result]) -> Generator[Any, Any, Result]:
        step: Callable[[Any], Any] = work.send
        argument: Any = None
        while True:
            before = self.begin(mark)
            try:
                waited_for = step(argument)
            except StopIteration as done:
                result: Result = done.value
                return result
            finally:
                self.end(before)
            try:
                argument, step = (yield waited_for), work.send
            except BaseException as error:  # it is cancelled, or closed
                argument, step = error, work.throw
