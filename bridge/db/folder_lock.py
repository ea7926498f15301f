"""A lock on the data folder: shared by the processes of a bridge, exclusive for what needs that none runs."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bridge.errors import SetupError

FILE: Final = "in-use.lock"
"""Below the data folder."""


@contextlib.contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Let others know that a process of a bridge uses the folder.

    Raises:
        SetupError: its data is being moved.
    """
    with locked(folder / FILE, fcntl.LOCK_SH, f"data.dir: the data of {folder} is being moved"):
        yield


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep bridges from using the folder.

    Raises:
        SetupError: one uses it.
    """
    with locked(folder / FILE, fcntl.LOCK_EX, f"a bridge uses {folder}; stop it first"):
        yield


@contextlib.contextmanager
def locked(path: Path, kind: int, refusal: str) -> Iterator[None]:
    """Hold a lock of this kind (`flock`) on a file, which is made.

    Raises:
        SetupError: another process holds it; `refusal` is the text.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Ends with the process, however that ends.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(refusal) from None
        yield
    finally:
        os.close(descriptor)
