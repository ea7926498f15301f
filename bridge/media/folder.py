"""The media folder: what server files are played from, and what callers' recording paths lie in.

Each line has a folder of its own, `lines/NAME`, which it plays from and records into. All else in the
media folder is shared: every line may play it and none writes there, but for recordings that an
earlier version put there, which only their own line may play. Names are the same in both directions:
a recording that answers `files/a.wav` is played as `files/a.wav` or `a.wav`.
"""

import errno
import os
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

from bridge.call.model import LineName
from bridge.errors import InvalidRequest, NotFound

PREFIX: Final = "files/"
"""Before every name that is shown; it may be left out of those that are asked for."""
LINES: Final = "lines"
"""What the lines' own folders lie in; what is in it is not shared."""
MAX_NAME: Final = 512
"""Characters of a name, folders included."""
MAX_PART: Final = 200
"""Bytes of a folder's or file's name, which leaves room for a suffix."""
MAX_DEPTH: Final = 16
MAX_COUNTED: Final = 99
"""`a-2.wav` to `a-99.wav` are tried where `a.wav` is taken, then a random suffix."""

_NO_SUCH_PLACE: Final = (
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.EILSEQ,
)


class MediaFolder:
    """The files of all lines."""

    def __init__(self, root: Path, *, owner: Callable[[Path], Awaitable[LineName | None]]) -> None:
        """Make it.

        Args:
            root: the media folder.
            owner: returns the line that a file was recorded for, None for any other file.
        """
        self._root = root
        self._owner = owner

    def own(self, line: LineName) -> Path:
        """Return a line's own folder; it need not exist."""
        name = quote(line, safe=" ")
        name = name.replace(".", "%2E") if name.startswith(".") else name
        return self._root.resolve() / LINES / name

    async def find(self, line: LineName, name: str, field: str) -> Path:
        """Return a file that a line may play: its own, else a shared one.

        Raises:
            InvalidRequest: the name is none, or leads out of both folders; it names `field`.
            NotFound: there is no such file.
        """
        wanted = relative(name, field)
        own, root = self.own(line), self._root.resolve()
        mine = _below(own, wanted)
        shared = _below(root, wanted)
        if shared is not None and shared.is_relative_to(root / LINES):
            shared = None
        if mine is None and shared is None:
            raise InvalidRequest(f"{field}: it leads out of the media folder", field=field)
        if mine is not None and mine.is_file():
            return mine
        if shared is not None and shared.is_file() and await self._owner(shared) in (None, line):
            return shared
        raise NotFound("the media folder has no such file", field=field)

    def reserve(self, line: LineName, name: str, field: str) -> Path:
        """Make an empty file in a line's own folder; where the name is taken, another one is made.

        Raises:
            InvalidRequest: the name is none, or leads out of the folder; it names `field`.
            OSError: it cannot be written.
        """
        own = self.own(line)
        chosen = _below(own, relative(name, field))
        if chosen is None:
            raise InvalidRequest(f"{field}: it leads out of the line's media folder", field=field)
        try:
            chosen.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            for number in range(1, MAX_COUNTED + 1):
                if _made(path := _numbered(chosen, str(number)) if number > 1 else chosen):
                    return path
            path = _numbered(chosen, secrets.token_hex(8))
            _made(path)
        except OSError as error:
            if error.errno not in _NO_SUCH_PLACE:
                raise
            raise InvalidRequest(f"{field}: no file can have this path", field=field) from None
        return path

    def name_of(self, line: LineName, path: Path) -> str:
        """Return the name that a line asks for a file by; the path where it is in neither folder."""
        for folder in (self.own(line), self._root.resolve()):
            if path.is_relative_to(folder):
                return PREFIX + path.relative_to(folder).as_posix()
        return str(path)


def relative(name: str, field: str) -> str:
    """Return a caller's name of a file without the prefix, fit for a path.

    Raises:
        InvalidRequest: it is empty, too long, too deep, or holds what no path may; it names `field`.
    """
    wanted = name.removeprefix(PREFIX)
    if not wanted or not wanted.isprintable():
        raise InvalidRequest(
            f"{field}: expected a file's path in printable characters", field=field
        )
    parts = wanted.split("/")
    long = any(len(part.encode()) > MAX_PART for part in parts)
    if long or len(wanted) > MAX_NAME or len(parts) > MAX_DEPTH:
        raise InvalidRequest(
            f"{field}: expected at most {MAX_NAME} characters, {MAX_PART} bytes for each folder, and "
            f"{MAX_DEPTH - 1} folders",
            field=field,
        )
    return wanted


def _below(folder: Path, name: str) -> Path | None:
    """Return the path of a name in a folder, links followed; None where it is not inside.

    Raises:
        NotFound: links lead in a circle.
    """
    try:
        path = (folder / name).resolve()
    except (OSError, RuntimeError):
        raise NotFound("the media folder has no such file") from None
    return path if path != folder and path.is_relative_to(folder) else None


def _numbered(path: Path, number: str) -> Path:
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def _made(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True
