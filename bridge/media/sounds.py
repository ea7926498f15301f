"""Sources of playback: the media folder, a URL, or the request itself."""

import asyncio
import base64
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from bridge.call.model import LineName
from bridge.errors import HandoverRefused, InvalidRequest, PayloadTooLarge, about_field
from bridge.http.client import Http
from bridge.media.decoding.decoders import InvalidMedia
from bridge.media.folder import MediaFolder

MAX_BYTES: Final = 32 * 1024 * 1024
FETCH_SECONDS: Final = 15.0
MAX_REDIRECTS: Final = 3
PIECE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Sound:
    """A file to play; `release` deletes it if it is temporary."""

    path: Path
    release: Callable[[], None] = lambda: None
    field: str = ""
    """The request field that named it; empty for none."""


class Sounds:
    """Finds, fetches and spools files to play."""

    def __init__(self, *, folder: MediaFolder, spool: Path, http: Http, urls: bool) -> None:
        """Create the sources; URLs are played if `urls`.

        The spool is this node's folder for temporary files; what a killed process left there stays until `drop_left`.
        """
        self._folder = folder
        self._spool = spool
        self._http = http
        self._urls = urls
        spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._left = [left for left in spool.iterdir() if left.is_file()]

    async def drop_left(self) -> None:
        """Delete what a killed process left in the spool, once the calls with which this one goes on have taken theirs over."""
        for left in self._left:
            left.unlink(missing_ok=True)
        self._left.clear()

    async def file(self, line: LineName, name: str, field: str) -> Sound:
        """Return a file that a line may play; raises as `MediaFolder.find`."""
        return Sound(await self._folder.find(line, name, field), field=field)

    async def content(self, text: str, field: str) -> Sound:
        """Spool base64 of a request; `data:` prefix, whitespace and padding are optional.

        Raises:
            InvalidRequest: It is not base64, or empty.
            PayloadTooLarge: It is larger than `MAX_BYTES`.
        """
        begin = text.find(",") + 1 if text.startswith("data:") else 0
        with self._spooled(field) as sound:
            try:
                size = await _decode(text, begin, sound.path)
            except ValueError:
                raise InvalidRequest(f"{field}: expected base64", field=field) from None
            if not size:
                raise InvalidRequest(f"{field}: it is empty", field=field)
        return sound

    def spool(self, data: bytes) -> Sound:
        """Spool the bytes of a file."""
        with self._spooled("") as sound:
            sound.path.write_bytes(data)
        return sound

    async def url(self, line: LineName, url: str, field: str) -> Sound:
        """Fetch the URL of a customer of a line.

        Raises:
            AddressBlocked: The address guard forbids it.
            InvalidRequest: URLs are disabled, or it is not a URL.
            InvalidMedia: The server does not return a file in time.
            PayloadTooLarge: The file is larger than `MAX_BYTES`.
        """
        if not self._urls:
            raise InvalidRequest("playing URLs is disabled (media.urls)", field=field)
        if not url.lower().startswith(("http://", "https://")):
            raise InvalidRequest(f"{field}: expected an http or https URL", field=field)
        with self._spooled(field) as sound:
            try:
                with about_field(field):
                    async with asyncio.timeout(FETCH_SECONDS):
                        await self._fetch(line, url, sound.path)
            except aiohttp.InvalidURL:
                raise InvalidRequest(f"{field}: expected a URL", field=field) from None
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                raise InvalidMedia("the URL did not return a file in time", field=field) from None
        return sound

    async def urls(self, line: LineName, urls: Mapping[str, str | None]) -> dict[str, Sound | None]:
        """Fetch several URLs, each named by its field, None for none; all or nothing.

        Raises as `url`.
        """
        found: dict[str, Sound | None] = {}
        try:
            for name, url in urls.items():
                found[name] = await self.url(line, url, name) if url else None
        except BaseException:
            for sound in filter(None, found.values()):
                sound.release()
            raise
        return found

    async def _fetch(self, line: LineName, url: str, path: Path) -> None:
        # Without decompression, which could expand a small file without limit.
        async with (
            self._http.of(line)
            .guarded()
            .get(
                url,
                max_redirects=MAX_REDIRECTS,
                headers={"Accept-Encoding": "identity"},
                auto_decompress=False,
            ) as answer
        ):
            if answer.status != 200:
                raise InvalidMedia(f"the URL returned status {answer.status}")
            size = 0
            with path.open("wb") as file:
                async for piece in answer.content.iter_chunked(PIECE):
                    size += len(piece)
                    if size > MAX_BYTES:
                        raise PayloadTooLarge("the URL's file is larger than 32 MB")
                    file.write(piece)

    def take_over(self, path: Path) -> Sound:
        """Return a sound that another process of this machine plays; it may release it then.

        Raises:
            HandoverRefused: it is not there any more.
        """
        own = self._spool.resolve() / f"passed-{secrets.token_hex(8)}"
        try:
            if path.parent.parent.resolve() != own.parent.parent:
                path.stat()
                return Sound(path)
            os.link(path, own)
        except OSError:
            raise HandoverRefused("the file of a playback is not here") from None
        return Sound(own, lambda: own.unlink(missing_ok=True))

    @contextmanager
    def _spooled(self, field: str) -> Iterator[Sound]:
        """Create an empty temporary file, deleted if the block raises."""
        with tempfile.NamedTemporaryFile(dir=self._spool, delete=False) as file:
            path = Path(file.name)
        sound = Sound(path, lambda: path.unlink(missing_ok=True), field)
        try:
            yield sound
        except BaseException:
            sound.release()
            raise


async def _decode(text: str, begin: int, path: Path) -> int:
    """Decode base64 to a file and return its size, in pieces: 12 MB at once would block for 100 ms."""
    size, left = 0, ""
    with path.open("wb") as file:
        for start in range(begin, len(text), PIECE):
            left += "".join(text[start : start + PIECE].split())
            whole = len(left) // 4 * 4
            size += file.write(base64.b64decode(left[:whole], validate=True))
            left = left[whole:]
            if size > MAX_BYTES:
                raise PayloadTooLarge("the audio is larger than 32 MB")
            await asyncio.sleep(0)
        return size + file.write(base64.b64decode(left + "=" * (-len(left) % 4), validate=True))
