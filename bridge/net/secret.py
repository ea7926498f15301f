"""A secret of the bridge, generated once and kept in a file for all nodes."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

FILE = "tickets.secret"
"""Below the data folder."""
BYTES = 32


def shared_secret(path: Path) -> bytes:
    """Return the secret in the file; generate it if there is none.

    Concurrent processes get the same; waits for the disk (start-up only).
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(BYTES))
            file.flush()
            os.fsync(file.fileno())
        # Linked when complete: nobody reads half a secret, and the first one counts.
        with suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return path.read_bytes()
