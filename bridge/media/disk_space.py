"""How much room the disk has: recordings stop before it is full, since calls need it too."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """The disk that a folder lies on, and how much of it recordings leave free."""

    folder: Path
    least_bytes: int

    def free_bytes(self) -> int:
        """Say how much this process may still write."""
        figures = os.statvfs(self.folder)
        return figures.f_bavail * figures.f_frsize

    def check(self) -> None:
        """Refuse to write more.

        Raises:
            OSError: ENOSPC, the disk has no more than what is left free.
        """
        if self.free_bytes() < self.least_bytes:
            raise OSError(errno.ENOSPC, "recordings leave this much of the disk free")
