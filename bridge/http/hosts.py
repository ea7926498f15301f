"""The names in /etc/hosts, read again when the file changes."""

import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

PATH: Final = Path("/etc/hosts")
CHECK_SECONDS: Final = 5.0
"""How often the file is checked for changes."""
MAX_BYTES: Final = 256 * 1024
"""Read of the file; more would block the loop."""


class Hosts:
    """The names and addresses of a hosts(5) file."""

    def __init__(self, path: Path = PATH, *, now: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._now = now
        self._checked_at = float("-inf")
        self._seen: tuple[int, int] | None = None
        self._known: dict[str, list[Address]] = {}
        self.find("")  # a large file is read at the start, not within a call

    def find(self, name: str) -> list[Address]:
        """Return the addresses of a name, ignoring case; empty if the file does not have it."""
        now = self._now()
        if now - self._checked_at >= CHECK_SECONDS:
            self._checked_at = now
            self._read_if_changed()
        return self._known.get(name.lower(), [])

    def _read_if_changed(self) -> None:
        try:
            state = self._path.stat()
            seen = (state.st_mtime_ns, state.st_size)
            if seen == self._seen:
                return
            with self._path.open("rb") as file:
                text = file.read(MAX_BYTES).decode(errors="replace")
        except OSError:
            return
        self._seen = seen
        self._known = parse(text.splitlines())


def parse(lines: Iterable[str]) -> dict[str, list[Address]]:
    """Parse hosts(5) lines: an address, its name and aliases; invalid lines are skipped."""
    known: dict[str, list[Address]] = {}
    for line in lines:
        first, *names = line.partition("#")[0].split() or [""]
        try:
            address = ip_address(first.partition("%")[0])
        except ValueError:
            continue
        for name in names:
            known.setdefault(name.lower().rstrip("."), []).append(address)
    return known
