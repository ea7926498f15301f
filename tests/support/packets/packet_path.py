"""The compiled packet path for tests, and which path those of rtp/ and rtc/ take."""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from bridge.audio.codec.opus import Opus
from bridge.rtc.packet_path import PacketPath
from bridge.rtc.packet_path_build import HERE
from bridge.rtc.packet_path_library import Library, Unavailable, load
from bridge.rtc.packet_poller import Scheduling

PATHS = ("compiled", "thread", "python")
"""`thread` is the compiled path, run by its own thread."""
CHOSEN = "TEST_PACKET_PATH"
"""Environment variable with one of `PATHS`, set by the fixture `path` of tests/rtp and tests/rtc."""
AFTER_THE_TEST: list[Callable[[], None]] = []
"""What closes the sockets that the test has opened."""
THREADS: list[PacketPath] = []
"""The packet paths of the test that have one."""
FOLDER = "TEST_PACKET_PATH_FOLDER"
"""Environment variable with a folder that has another library, and its source."""


COMPILED_PATHS = (
    pytest.param("compiled", marks=pytest.mark.compiled),
    pytest.param("thread", marks=[pytest.mark.compiled, pytest.mark.full]),
)


@cache
def library() -> Library:
    """Load the library that `make test` has built, or another one."""
    found = load(compiled=True, folder=Path(os.environ.get(FOLDER, HERE)))
    assert not isinstance(found, Unavailable), (
        f"{found.reason}: python -m bridge.rtc.packet_path_build"
    )
    return found


def packet_path(opus: Opus, clock: Callable[[], float]) -> PacketPath | None:
    """Make a packet path, unless the test takes Python's; to be closed after its peers."""
    if os.environ.get(CHOSEN) == "python":
        return None
    return compiled_path(opus, clock)


def compiled_path(opus: Opus, clock: Callable[[], float]) -> PacketPath:
    """Make a compiled packet path, with its thread if the test takes that."""
    thread = os.environ.get(CHOSEN) == "thread"
    path = PacketPath(library(), opus, clock=clock, scheduling=Scheduling(thread=thread))
    if thread:
        THREADS.append(path)
    return path


def threads_at_work() -> bool:
    """Wait until all that lay in the sockets was read; return whether the event loop has to look at some of it."""
    waiting = False
    for path in THREADS:
        if path.poller is not None:
            path.poller.wait()
            waiting |= path.poller.figures().ring_bytes > 0
    return waiting


async def caught_up() -> None:
    """Wait until the event loop has looked at everything that the threads have left to it."""
    while threads_at_work():
        await asyncio.sleep(0)


def needs_session(module: ModuleType, names: Iterable[str]) -> bool:
    """Return whether a module of tests has one of these names, imported or its own."""
    return any(hasattr(module, name) for name in names)


def parametrize_paths(metafunc: pytest.Metafunc) -> None:
    """Run a test on all paths."""
    metafunc.parametrize("path", [*COMPILED_PATHS, "python"], indirect=True)


def parametrize_compiled_paths(metafunc: pytest.Metafunc) -> None:
    """Run a test that compares a compiled path with Python's on all that are compiled."""
    metafunc.parametrize("path", COMPILED_PATHS, indirect=True)


@pytest.fixture(autouse=True)
def choose_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The path of the test, one of `PATHS`; Python's where it is not parametrized."""
    path = getattr(request, "param", "python")
    monkeypatch.setenv(CHOSEN, path)
    yield path
    while AFTER_THE_TEST:
        AFTER_THE_TEST.pop()()
    THREADS.clear()
