"""The compiled packet path for tests, and which path those of rtp/ and rtc/ take."""

import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from bridge.audio.codec.opus import Opus
from bridge.rtc.packet_path import PacketPath
from bridge.rtc.packet_path_build import HERE
from bridge.rtc.packet_path_library import Library, Unavailable, load

PATHS = ("compiled", "python")
CHOSEN = "TEST_PACKET_PATH"
"""Environment variable with one of `PATHS`, set by the fixture `path` of tests/rtp and tests/rtc."""
FOLDER = "TEST_PACKET_PATH_FOLDER"
"""Environment variable with a folder that has another library, and its source."""


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
    return PacketPath(library(), opus, clock=clock)


def needs_session(module: ModuleType, names: Iterable[str]) -> bool:
    """Return whether a module of tests has one of these names, imported or its own."""
    return any(hasattr(module, name) for name in names)


def parametrize_paths(metafunc: pytest.Metafunc) -> None:
    """Run a test on both paths."""
    compiled = pytest.param("compiled", marks=pytest.mark.compiled)
    metafunc.parametrize("path", [compiled, "python"], indirect=True)


@pytest.fixture(autouse=True)
def choose_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of the test, one of `PATHS`; Python's where it is not parametrized."""
    path = getattr(request, "param", "python")
    monkeypatch.setenv(CHOSEN, path)
    return path
