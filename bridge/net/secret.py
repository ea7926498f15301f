"""A secret of the bridge's own: made once, kept in a file, the same for all nodes and after a restart."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

FILE = "tickets.secret"
"""Below the data folder."""
BYTES = 32


def shared_secret(path: Path) -> bytes:
    """Give the secret that the file holds, and make it first where there is none.

    Several processes may do so at once and get the same; waits for the disk (start-up only).
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(BYTES))
            file.flush()
            os.fsync(file.fileno())
        # Nobody finds half a secret, and the first one who is ready makes it for all.
        with suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return path.read_bytes()
