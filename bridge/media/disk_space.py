"""Free disk space: recordings stop before the disk is full."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """The disk of a folder, and the space that recordings must leave free on it."""

    folder: Path
    min_free_bytes: int

    def free_bytes(self) -> int:
        """Return the free space."""
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    def check(self) -> None:
        """Check that recordings may continue.

        Raises:
            OSError: ENOSPC; less than `min_free_bytes` are free.
        """
        if self.free_bytes() < self.min_free_bytes:
            raise OSError(errno.ENOSPC, "less disk space is free than recordings must leave")
