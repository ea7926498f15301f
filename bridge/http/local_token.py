"""The local token, made anew at each start: whoever may read the data folder of a bridge may read its metrics.

In the demonstration it opens the console too. It distinguishes programs on this machine from requests that
come through a tunnel.
"""

import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from bridge.settings.model import Settings

FILE: Final = "local.token"
"""Below the data folder; for its owner alone."""
_BYTES: Final = 32


def make() -> str:
    """Return a fresh token."""
    return secrets.token_urlsafe(_BYTES)


def announce(settings: Settings, token: str) -> None:
    """Keep the token of a start, in place of that of the last one; print the demonstration's link.

    On standard output, because the log has no secrets.
    """
    folder = Path(settings.data.dir)
    _written(folder, token).rename(folder / FILE)
    if not settings.lines:
        sys.stdout.write(f"\nOpen {link(settings, token)}\n\n")
        sys.stdout.flush()


def link(settings: Settings, token: str) -> str:
    """Return the link to the page, with the token behind the #, where the browser keeps it to itself."""
    return f"{settings.http.url}#token={token}"


def find(folder: Path) -> str:
    """Return the local token, the same for all nodes; make it if a supervisor of an earlier version has not."""
    path = folder / FILE
    if not path.exists():
        fresh = _written(folder, make())
        # Linked when complete: nobody reads half a token, and the first one counts.
        with suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return path.read_text().strip()


def _written(folder: Path, token: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{FILE}.{secrets.token_hex(8)}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{token}\n")
    return path
