"""What names a machine: generated once, and kept in a file of its data folder; and what its processes keep from others."""

import ctypes
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from bridge.errors import SetupError

FILE: Final = "machine.id"
"""Below the data folder; to be copied to no other machine."""
_PR_SET_DUMPABLE: Final = 4
_FORM: Final = re.compile(r"[0-9a-f]{16}")


def machine_id(folder: Path) -> str:
    """Return the id of the machine whose data folder this is, 16 hex digits; generate it if there is none.

    Concurrent processes get the same; waits for the disk (start-up only).

    Raises:
        SetupError: the file has something else.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / FILE
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(8) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # Linked when complete: nobody reads half an id, and the first one counts.
        with suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    found = path.read_text(errors="replace").strip()
    if _FORM.fullmatch(found) is None:
        raise SetupError(
            f"{path}: expected 16 hex digits; restore it from a backup of this machine, or delete it "
            "if no recording of this folder is still needed"
        )
    return found


def known_machine_id(folder: Path) -> str:
    """Return the id of the machine whose data folder this is; "" if it has none yet, or none that can be read."""
    try:
        return (folder / FILE).read_text(errors="replace").strip()
    except OSError:
        return ""


def hide_memory() -> None:
    """Let no other process of the user read the memory of this one, nor a core dump have it: it has keys of calls."""
    with suppress(OSError, AttributeError):  # where the system has no such thing
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
