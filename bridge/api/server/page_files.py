"""Files of the pages: scripts without their comments, compressed once and kept in memory."""

import asyncio
import gzip
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import ETag, hdrs, web
from multidict import CIMultiDict

CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
}
_PACKAGE: Final = Path(__file__).parents[2]
MAX_KEPT: Final = 512
"""Files; the pages and the guide have a quarter of that. Others are compressed for each request."""
_COMMENTS: Final = re.compile(r"^[ \t]*(?:/\*(?:[^*]|\*(?!/))*\*/[ \t]*|//.*)$", re.MULTILINE)
_REFUSED: Final = re.compile(r"\s*q\s*=\s*0(?:\.0*)?\s*")
"""The weight of a coding that the client does not take; any other, also a malformed one, is taken."""


@dataclass(frozen=True, slots=True)
class _Kept:
    stamp: str
    """Changes with the file."""
    packed: bytes


class PageFiles:
    """Answers requests for files of the pages, which may change while the bridge runs.

    A file is read and compressed in a thread at its first request, and again after a change.
    """

    def __init__(self) -> None:
        self._kept: dict[Path, _Kept] = {}

    async def respond(
        self, request: web.Request, path: Path, headers: dict[str, str]
    ) -> web.Response:
        """Return a file, or 304 if the client has it.

        Raises:
            OSError: there is no such file, or it cannot be read.
        """
        kept = await self._find(path)
        packed = accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
        tag = ETag(f"{kept.stamp}-gzip" if packed else kept.stamp)
        given = CIMultiDict(headers | {hdrs.VARY: hdrs.ACCEPT_ENCODING})
        if any(one.value in (tag.value, "*") for one in request.if_none_match or ()):
            response = web.Response(status=HTTPStatus.NOT_MODIFIED, headers=given)
        else:
            given.setdefault(hdrs.CONTENT_TYPE, CONTENT_TYPES[path.suffix])
            if packed:
                given[hdrs.CONTENT_ENCODING] = "gzip"
            body = kept.packed if packed else await asyncio.to_thread(gzip.decompress, kept.packed)
            response = web.Response(body=body, headers=given)
        response.etag = tag
        return response

    async def _find(self, path: Path) -> _Kept:
        stamp = _stamp(path)
        kept = self._kept.get(path)
        if kept is None or kept.stamp != stamp:
            kept = _Kept(stamp, await asyncio.to_thread(_pack, path))
            if path in self._kept or len(self._kept) < MAX_KEPT:
                self._kept[path] = kept
        return kept


@dataclass(frozen=True, slots=True)
class Pages:
    """Files and folders of pages."""

    web: Path
    """The demo page and the client library."""
    readme: Path
    guide: Path
    """The documents as a site; missing in a checkout until `make ready` has written it."""
    files: PageFiles = field(default_factory=PageFiles)
    """Reads them."""


def find_pages() -> Pages:
    """Return the pages of a wheel (`.ci/wheel_contents.py` puts them there), else the checkout's."""
    installed = _PACKAGE / "pages"
    root = installed if installed.is_dir() else _PACKAGE.parent
    guide = root / "guide" if installed.is_dir() else root / "build" / "guide"
    return Pages(web=root / "web", readme=root / "README.md", guide=guide)


def accepts_gzip(header: str) -> bool:
    """Whether a client takes gzip, by its Accept-Encoding (RFC 9110, section 12.5.3)."""
    accepted: dict[str, bool] = {}
    for entry in header.lower().split(","):
        coding, _, weight = entry.partition(";")
        accepted[coding.strip()] = _REFUSED.fullmatch(weight) is None
    return accepted.get("gzip", accepted.get("*", False))


def without_comments(script: str) -> str:
    """Return a script without the comments that have lines of their own; all others keep their numbers."""
    return _COMMENTS.sub(lambda comment: "\n" * comment[0].count("\n"), script)


def _stamp(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(path)
    status = path.stat()
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"


def _pack(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".js":
        content = without_comments(content.decode()).encode()
    return gzip.compress(content, mtime=0)
