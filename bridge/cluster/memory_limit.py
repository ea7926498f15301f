"""How much memory the processes of a bridge may use, by the control groups that they are in."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

ROOT: Final = Path("/sys/fs/cgroup")
OWN: Final = Path("/proc/self/cgroup")
MIN_FOR_SPARE: Final = 1 << 30
"""Bytes that the control group must allow for a spare process; with less, live calls need what a spare would take."""


def memory_limit(root: Path = ROOT, own: Path = OWN) -> int | None:
    """Return the least limit in bytes of this process's control group and those around it; None where there is none.

    `root` is where control groups are mounted, `own` the file that names this process's.
    """
    limits = []
    for path in _limits(root, own):
        try:
            text = path.read_text().strip()
        except OSError:  # another version of control groups, or a container's own view of them
            continue
        if text.isdecimal():
            limits.append(int(text))
    return min(limits, default=None)


def _limits(root: Path, own: Path) -> Iterator[Path]:
    """Yield the files that may have a limit, of both versions of control groups."""
    try:
        rows = [row.split(":", 2) for row in own.read_text().splitlines()]
    except OSError:
        rows = []
    yield root / "memory.max"
    yield root / "memory" / "memory.limit_in_bytes"
    for _, controllers, group in rows:
        for parent in (PurePosixPath(group), *PurePosixPath(group).parents):
            below = str(parent).lstrip("/")
            if not controllers:
                yield root / below / "memory.max"
            elif "memory" in controllers.split(","):
                yield root / "memory" / below / "memory.limit_in_bytes"
