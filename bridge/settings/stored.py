"""Secrets that commands have fetched for the bridge: below `data.dir`, each in a file for its owner alone."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from bridge.settings.data import Data

FOLDER: Final = "secrets"


def sip_password_file(data_folder: str, line: str) -> Path:
    """Return where a line's `whatsapp.sip_password` is kept, if the settings do not have it."""
    return Path(data_folder) / FOLDER / f"{quote(line, safe='')}.sip_password"


def store(path: Path, secret: str) -> None:
    """Keep a secret in place of what is there; a reader sees the old one or the new one.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{secret}\n")
    fresh.rename(path)


def place_stored(tree: dict[str, Any]) -> None:
    """Put the passwords that are kept into a tree of settings, where it has none for a line that needs one."""
    data, lines = tree.get("data"), tree.get("lines")
    folder = data.get("dir", Data().dir) if isinstance(data, dict) else Data().dir
    for name, line in (lines if isinstance(lines, dict) else {}).items():
        whatsapp = line.get("whatsapp") if isinstance(line, dict) else None
        if not isinstance(whatsapp, dict) or whatsapp.get("signalling") != "sip":
            continue
        if not whatsapp.get("sip_password") and isinstance(folder, str):
            with suppress(OSError, UnicodeDecodeError):
                whatsapp["sip_password"] = sip_password_file(folder, name).read_text().strip()
