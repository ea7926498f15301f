"""Where the sound that is played comes from: the media folder, a URL, the request itself."""

import asyncio
import base64
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from bridge.call.model import LineName
from bridge.errors import InvalidRequest, PayloadTooLarge, about_field
from bridge.media.decoders import InvalidMedia
from bridge.media.folder import MediaFolder
from bridge.net.http import Http

MAX_BYTES: Final = 32 * 1024 * 1024
FETCH_SECONDS: Final = 15.0
MAX_REDIRECTS: Final = 3
PIECE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Sound:
    """A file to be played, and what is done when it is needed no more."""

    path: Path
    release: Callable[[], None] = lambda: None
    field: str = ""
    """Which field of a request named it; empty for none."""


class Sounds:
    """Finds, fetches and keeps for a while what is to be played."""

    def __init__(self, *, folder: MediaFolder, spool: Path, http: Http, urls: bool) -> None:
        """Make it.

        Args:
            folder: has the files of the server that may be played.
            spool: where fetched and sent files lie while they are played, this node's alone;
                emptied now, of what a process that was killed left there.
            http: reaches customers' URLs, through the address guard.
            urls: whether URLs are played at all.
        """
        self._folder = folder
        self._spool = spool
        self._http = http
        self._urls = urls
        spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in spool.iterdir():
            if left.is_file():
                left.unlink()

    async def file(self, line: LineName, name: str, field: str) -> Sound:
        """Find a file that a line may play (`MediaFolder.find`).

        Raises:
            InvalidRequest: the name is none, or leads out of the folder.
            NotFound: there is no such file.
        """
        return Sound(await self._folder.find(line, name, field), field=field)

    async def content(self, text: str, field: str) -> Sound:
        """Keep what a request carries in base64, with or without a `data:` prefix.

        Line breaks and spaces are passed over, and the padding may be missing.

        Raises:
            InvalidRequest: it is not base64, or empty.
            PayloadTooLarge: it is over `MAX_BYTES`.
        """
        begin = text.find(",") + 1 if text.startswith("data:") else 0
        sound = self._empty(field)
        try:
            size = await _decode(text, begin, sound.path)
        except ValueError:
            sound.release()
            raise InvalidRequest(f"{field}: expected base64", field=field) from None
        except BaseException:
            sound.release()
            raise
        if not size:
            sound.release()
            raise InvalidRequest(f"{field}: there is nothing in it", field=field)
        return sound

    def kept(self, data: bytes) -> Sound:
        """Keep the bytes of a sound file until it has been played."""
        sound = self._empty("")
        sound.path.write_bytes(data)
        return sound

    async def url(self, line: LineName, url: str, field: str) -> Sound:
        """Fetch the URL of a customer of a line.

        Raises:
            AddressBlocked: the address guard does not let it be reached.
            InvalidRequest: URLs are switched off, or it is none.
            InvalidMedia: it does not answer with a file in time.
            PayloadTooLarge: the file is over `MAX_BYTES`.
        """
        if not self._urls:
            raise InvalidRequest("playing URLs is switched off (media.urls)", field=field)
        if not url.lower().startswith(("http://", "https://")):
            raise InvalidRequest(f"{field}: expected an http or https URL", field=field)
        sound = self._empty(field)
        try:
            with about_field(field):
                async with asyncio.timeout(FETCH_SECONDS):
                    await self._fetch(line, url, sound.path)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            sound.release()
            if isinstance(error, aiohttp.InvalidURL):
                raise InvalidRequest(f"{field}: expected a URL", field=field) from None
            raise InvalidMedia("the URL did not give a file in time", field=field) from None
        except BaseException:
            sound.release()
            raise
        return sound

    async def _fetch(self, line: LineName, url: str, path: Path) -> None:
        # As it lies there: what is packed small could be unpacked without end.
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
                raise InvalidMedia(f"the URL answers {answer.status}")
            size = 0
            with path.open("wb") as file:
                async for piece in answer.content.iter_chunked(PIECE):
                    size += len(piece)
                    if size > MAX_BYTES:
                        raise PayloadTooLarge("the URL's file is over 32 MB")
                    file.write(piece)

    def _empty(self, field: str) -> Sound:
        with tempfile.NamedTemporaryFile(dir=self._spool, delete=False) as file:
            path = Path(file.name)
        return Sound(path, lambda: path.unlink(missing_ok=True), field)


async def _decode(text: str, begin: int, path: Path) -> int:
    """Write what a text holds in base64; returns how many bytes.

    Piece by piece: 12 MB would hold up all calls of the node for 100 ms.

    Raises:
        PayloadTooLarge: it is over `MAX_BYTES`.
        ValueError: it is not base64.
    """
    size, left = 0, ""
    with path.open("wb") as file:
        for place in range(begin, len(text), PIECE):
            left += "".join(text[place : place + PIECE].split())
            whole = len(left) // 4 * 4
            size += file.write(base64.b64decode(left[:whole], validate=True))
            left = left[whole:]
            if size > MAX_BYTES:
                raise PayloadTooLarge("the sound is over 32 MB")
            await asyncio.sleep(0)
        return size + file.write(base64.b64decode(left + "=" * (-len(left) % 4), validate=True))
