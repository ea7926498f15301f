"""The names in /etc/hosts, read when the file changes: to read it for each look-up costs time by its size."""

import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

PATH: Final = Path("/etc/hosts")
LOOK_SECONDS: Final = 5.0
"""How often is looked whether the file has changed."""
MAX_BYTES: Final = 256 * 1024
"""Of the file, its beginning; more would stop the loop while it is read."""


class Hosts:
    """Names and their addresses, as a file of the form of hosts(5) has them."""

    def __init__(self, path: Path = PATH, *, now: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._now = now
        self._looked = float("-inf")
        self._seen: tuple[int, int] | None = None
        self._known: dict[str, list[Address]] = {}
        self.find("")  # what is large is read at the start rather than within a call

    def find(self, name: str) -> list[Address]:
        """Return the addresses of a name in any case; none where the file does not have it."""
        now = self._now()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
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
    """Read the lines of hosts(5): an address, its name and aliases; what is none is passed over."""
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
