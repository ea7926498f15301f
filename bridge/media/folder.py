"""The media folder: files that can be played, and recordings whose path a caller chooses.

Each line plays from and records into its own folder, `lines/NAME`; the only line of a bridge records into the
media folder itself. The rest is shared and read-only, except that a recording can only be played by its
own line. Every file is named by its path in the media folder, after `files/`. Requests may leave out `files/`, and
`lines/NAME/` of their own line.
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
"""Prefix of every name in responses; optional in requests."""
LINES: Final = "lines"
"""Parent of the lines' own folders, which are not shared."""
MAX_NAME: Final = 512
"""Maximum characters of a name, folders included."""
MAX_PART: Final = 200
"""Maximum bytes of each path segment, leaving room for a suffix."""
MAX_DEPTH: Final = 16
MAX_COUNTED: Final = 99
"""If `a.wav` exists, `a-2.wav` to `a-99.wav` are tried, then a random suffix."""

_INVALID_PATH: Final = (
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.EILSEQ,
)


class MediaFolder:
    """The files of all lines."""

    def __init__(
        self,
        root: Path,
        *,
        owner: Callable[[Path], Awaitable[LineName | None]],
        only_line: LineName | None = None,
    ) -> None:
        """Create the view of `root`; `owner` returns the line of a recording, else None."""
        self._root = root
        self._owner = owner
        self._only_line = only_line

    def own(self, line: LineName) -> Path:
        """Return the folder that a line records into, which may not exist."""
        return self._root.resolve() if line == self._only_line else own_folder(self._root, line)

    def relative(self, line: LineName, name: str, field: str) -> str:
        """Return a name without what a line may leave out; errors as of `relative`."""
        own = f"{LINES}/{own_folder(self._root, line).name}/"
        return relative(name, field).removeprefix(own)

    async def find(self, line: LineName, name: str, field: str) -> Path:
        """Return a file that a line may play: its own, else a shared one.

        Raises:
            InvalidRequest: The name is invalid or leads out of both folders.
            NotFound: The file does not exist.
        """
        wanted = self.relative(line, name, field)
        root = self._root.resolve()
        mine = _below(own_folder(root, line), wanted)
        shared = _below(root, wanted)
        if shared is not None and shared.is_relative_to(root / LINES):
            shared = None
        if mine is None and shared is None:
            raise InvalidRequest(f"{field}: the path leads out of the media folder", field=field)
        if shared is not None and (
            not shared.is_file() or await self._owner(shared) not in (None, line)
        ):
            shared = None
        if mine is not None and not mine.is_file():
            mine = None
        if found := (shared or mine) if line == self._only_line else (mine or shared):
            return found
        raise NotFound("file not found in the media folder", field=field)

    def reserve(self, line: LineName, name: str, field: str) -> Path:
        """Create an empty file in a line's own folder, with a numbered name if it exists.

        Raises:
            InvalidRequest: The name is invalid or leads out of the folder.
            OSError: The file cannot be created.
        """
        own = self.own(line)
        chosen = _below(own, self.relative(line, name, field))
        others = own / LINES if line == self._only_line else None
        if chosen is None or others in (chosen, *chosen.parents):
            raise InvalidRequest(
                f"{field}: the path leads out of the line's media folder", field=field
            )
        try:
            chosen.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            for number in range(1, MAX_COUNTED + 1):
                if _create(path := _numbered(chosen, str(number)) if number > 1 else chosen):
                    return path
            path = _numbered(chosen, secrets.token_hex(8))
            _create(path)
        except OSError as error:
            if error.errno not in _INVALID_PATH:
                raise
            raise InvalidRequest(f"{field}: not a valid file path", field=field) from None
        return path

    def name_of(self, path: Path) -> str:
        """Return the name of a file; its path if it is not in the media folder."""
        root = self._root.resolve()
        within = path.is_relative_to(root)
        return PREFIX + path.relative_to(root).as_posix() if within else str(path)


def own_folder(root: Path, line: LineName) -> Path:
    """Return a line's own folder in a media folder."""
    name = quote(line, safe=" ")
    name = name.replace(".", "%2E") if name.startswith(".") else name
    return root.resolve() / LINES / name


def relative(name: str, field: str) -> str:
    """Validate a caller's file name and return it without the prefix.

    Raises:
        InvalidRequest: It is empty, too long, too deep or not printable.
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
    """Return the resolved path of a name in a folder; None if it is not inside."""
    try:
        path = (folder / name).resolve()
    except (OSError, RuntimeError):
        raise NotFound("file not found in the media folder") from None
    return path if path != folder and path.is_relative_to(folder) else None


def _numbered(path: Path, number: str) -> Path:
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def _create(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True
