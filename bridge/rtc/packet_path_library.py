"""Finds and loads the compiled packet path through cffi (ABI mode); `packet_path_build` compiles it."""

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import cffi

from bridge.rtc.packet_path_build import HEADERS, HERE, LIBRARY, source_digest

TURNED_OFF: Final = "turned off by rtc.compiled"
NOT_LINUX: Final = "for Linux alone"
NOT_BUILT: Final = "not built"
STALE: Final = "built from another source"


@dataclass(frozen=True, slots=True)
class Library:
    """The compiled packet path, loaded."""

    ffi: cffi.FFI
    """Knows the declarations of `HEADERS`."""
    lib: Any
    """Its functions; cffi has no static types for them."""
    path: Path


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why packets take the Python path."""

    reason: str

    @property
    def expected(self) -> bool:
        """Whether nothing is wrong: it is not wanted, or was never built."""
        return self.reason in {TURNED_OFF, NOT_LINUX, NOT_BUILT}


def load(*, compiled: bool, folder: Path = HERE) -> Library | Unavailable:
    """Load the library in a folder if it belongs to the source beside it; `compiled` is the setting."""
    if not compiled:
        return Unavailable(TURNED_OFF)
    if sys.platform != "linux":
        return Unavailable(NOT_LINUX)
    path = folder / LIBRARY
    if not path.exists():
        return Unavailable(NOT_BUILT)
    try:
        ffi = _declare("".join((folder / name).read_text() for name in HEADERS))
        lib = ffi.dlopen(str(path.absolute()))
        digest = source_digest(folder)
    except OSError as error:
        return Unavailable(f"cannot be loaded: {error}")
    if not _belongs(ffi, lib, digest):
        return Unavailable(STALE)
    return Library(ffi, lib, path)


@cache
def _declare(headers: str) -> cffi.FFI:
    """Parse declarations; remembered, because cffi takes tens of milliseconds and tests make thousands of bridges."""
    ffi = cffi.FFI()
    ffi.cdef(headers)
    return ffi


def _belongs(ffi: cffi.FFI, lib: Any, digest: str) -> bool:  # noqa: ANN401  (cffi has no static type)
    try:
        found = ffi.string(lib.packet_path_source())
    except AttributeError:
        return False
    return bool(found == digest.encode())
